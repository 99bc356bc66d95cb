// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {
    Closing,
    ISessionEscrow,
    Opening,
    Session,
    Settlement,
    Voucher
} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {ITipJar} from "../../../contracts/interfaces/ITipJar.sol";
import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {TermsHarness} from "./Harness.sol";

// What tests/test_differential.py asks by eth_call, many rows at a time. Rows and findings have no dynamic parts, so that
// Python writes and compares them as plain bytes.

/// @dev Revert data, cut at four words; none of what is looked at here is longer.
struct Refusal {
    uint256 size;
    bytes32[4] data;
}

/// @dev Revert data as four words and their length.
library RefusalLib {
    function cut(bytes memory why) internal pure returns (Refusal memory r) {
        r.size = why.length;
        for (uint256 i = 0; i < 4 && i * 32 < why.length; ++i) {
            bytes32 word;
            assembly ("memory-safe") {
                word := mload(add(why, mul(add(i, 1), 32)))
            }
            uint256 left = why.length - i * 32;
            r.data[i] = left < 32 ? word & ~(bytes32(type(uint256).max) >> (left * 8)) : word;
        }
    }
}

/// @dev What the library, and where it has a function for it the escrow, makes of terms.
contract TermsRows is TermsHarness {
    struct Row {
        PackedTerms terms;
        uint32[4] units;
        uint256 deposit;
        address self; // whom the refusal takes for the escrow
        uint256 time;
    }

    struct Found {
        Terms unpacked;
        bytes32 hash;
        bytes32 sessionId;
        uint256 smallestDeposit;
        uint256[4] fees;
        uint256[4] escrowFees;
        Refusal refusal;
    }

    function read(ISessionEscrow escrow, Row[] calldata rows) external view returns (Found[] memory found) {
        found = new Found[](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            PackedTerms calldata terms = rows[i].terms;
            found[i].unpacked = unpack(terms);
            found[i].hash = terms.hash();
            found[i].sessionId = escrow.sessionIdOf(terms);
            found[i].smallestDeposit = terms.smallestDeposit();
            for (uint256 j = 0; j < 4; ++j) {
                found[i].fees[j] = terms.fee(rows[i].units[j]);
                found[i].escrowFees[j] = escrow.feeOf(terms, rows[i].units[j]);
            }
            found[i].refusal = RefusalLib.cut(terms.refusal(rows[i].deposit, rows[i].self, rows[i].time));
        }
    }
}

/// @dev A wallet that has signed exactly what its signature says. Whoever asks it shows which digest they made.
contract EchoWallet {
    function isValidSignature(bytes32 digest, bytes calldata signature) external pure returns (bytes4) {
        return signature.length == 32 && bytes32(signature) == digest ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @dev A token of any domain, which checks nothing: what counts here is what the escrow asks of the signer.
contract PaperToken {
    bytes32 public DOMAIN_SEPARATOR;
    mapping(address account => uint256) public balanceOf;

    function adopt(bytes32 separator) external {
        DOMAIN_SEPARATOR = separator;
    }

    function receiveWithAuthorization(address, address to, uint256 value, uint256, uint256, bytes32, bytes calldata)
        external
    {
        balanceOf[to] += value;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// @dev Whole lives of sessions through the shipped escrow, every consent a signature. Client, payer and advisor are echo
/// wallets, so a step succeeds only if the escrow's digest is the one that Python made.
contract LifeRows {
    enum Step {
        None,
        Deposit,
        Revoke,
        Open,
        TopUp,
        Settle,
        RequestClose,
        Close,
        Rate,
        Answer,
        Tip
    }

    /// @dev An EIP-3009 authorization in the domain of `separator`.
    struct Paper {
        bytes32 separator;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 digest;
    }

    struct Reading {
        uint32 units; // 0 = none
        bytes32 journal;
        bytes32 r;
        bytes32 vs;
    }

    struct Paying {
        uint256 stock; // what the payer deposits first
        bytes32 stockSalt;
        Paper stockPaper;
        uint80 deposit;
        bool fromBalance;
        bytes32 openingDigest;
        Paper openingPaper;
        uint80 newDeposit; // 0 = no top-up
        bool topUpFromBalance;
        bytes32 topUpDigest;
        Paper topUpPaper;
    }

    struct Ending {
        address leaver; // 0 = nobody
        bytes32 leavingDigest;
        uint40 deadline;
        bytes32 closingDigest;
        uint8 score; // 0 = neither rating nor answer
        bytes32 commentHash;
        bytes32 ratingDigest;
        bytes32 answerHash;
        bytes32 answerDigest;
    }

    struct Withdrawing {
        address account;
        address token;
        uint256 amount;
        address to;
        uint256 nonce;
        uint256 deadline;
        bytes32 digest;
    }

    struct Tipping {
        address tipper;
        bytes32 sessionId;
        uint256 amount;
        bytes32 memo;
        bytes32 salt;
        Paper paper;
    }

    struct Row {
        PackedTerms terms;
        bytes32 sessionId;
        bytes32 revokedContext; // the same terms with this context are revoked
        address revoker;
        bytes32 revocationDigest;
        Paying paying;
        Reading first;
        Reading last;
        Ending ending;
        Withdrawing withdrawing;
        Tipping tipping;
    }

    struct Found {
        Step failed; // the first step that was refused, and how
        Refusal refusal;
        Refusal withdrawal; // size 0 = paid
        uint256[3] gained; // by advisor, payer and platform, in the ledger
        Session session;
    }

    ISessionEscrow private escrow;
    ITipJar private jar;

    function live(ISessionEscrow escrow_, ITipJar jar_, Row[] calldata rows) external returns (Found[] memory found) {
        (escrow, jar) = (escrow_, jar_);
        found = new Found[](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            uint256[3] memory before = _balances(rows[i].terms);
            _play(rows[i], found[i]);
            found[i].withdrawal = _withdraw(rows[i].withdrawing);
            uint256[3] memory present = _balances(rows[i].terms);
            for (uint256 j = 0; j < 3; ++j) {
                unchecked {
                    found[i].gained[j] = present[j] - before[j];
                }
            }
            found[i].session = escrow.session(rows[i].sessionId);
        }
    }

    function _balances(PackedTerms calldata t) private view returns (uint256[3] memory) {
        return [
            escrow.balanceOf(t.tokenOf(), t.advisorOf()),
            escrow.balanceOf(t.tokenOf(), t.payerOf()),
            escrow.balanceOf(t.tokenOf(), t.feeRecipient())
        ];
    }

    function _play(Row calldata row, Found memory found) private {
        _deposit(row, found);
        _revoke(row, found);
        _open(row, found);
        if (row.paying.newDeposit != 0) _topUp(row, found);
        if (row.first.units != 0) _settle(row, found);
        if (row.ending.leaver != address(0)) _leave(row, found);
        _close(row, found);
        if (row.ending.score != 0) _rate(row, found);
        _tip(row, found);
    }

    function _step(Found memory found, Step step, address to, bytes memory data) private {
        if (found.failed != Step.None) return;
        (bool done, bytes memory why) = to.call(data);
        if (done) return;
        found.failed = step;
        found.refusal = RefusalLib.cut(why);
    }

    /// @dev The token takes up the separator, and the wallet signs with the digest.
    function _authorization(PackedTerms calldata terms, Paper calldata paper) private returns (Authorization memory) {
        PaperToken(terms.tokenOf()).adopt(paper.separator);
        return Authorization({
            validAfter: paper.validAfter, validBefore: paper.validBefore, signature: abi.encode(paper.digest)
        });
    }

    function _deposit(Row calldata row, Found memory found) private {
        Paying calldata p = row.paying;
        (address token, address payer) = (row.terms.tokenOf(), row.terms.payerOf());
        Authorization memory a = _authorization(row.terms, p.stockPaper);
        bytes memory data =
            abi.encodeCall(ISessionEscrow.depositWithAuthorization, (token, payer, p.stock, p.stockSalt, a));
        _step(found, Step.Deposit, address(escrow), data);
    }

    function _revoke(Row calldata row, Found memory found) private {
        PackedTerms memory other = row.terms;
        other.context = row.revokedContext;
        bytes memory data =
            abi.encodeCall(ISessionEscrow.revoke, (other, row.revoker, abi.encode(row.revocationDigest)));
        _step(found, Step.Revoke, address(escrow), data);
    }

    function _open(Row calldata row, Found memory found) private {
        Paying calldata p = row.paying;
        bytes memory quote = abi.encode(row.sessionId); // the client signs the same
        bytes memory data;
        if (p.fromBalance) {
            Opening memory opening = Opening({
                terms: row.terms,
                deposit: p.deposit,
                advisorSignature: quote,
                clientSignature: quote,
                payerSignature: abi.encode(p.openingDigest)
            });
            data = abi.encodeCall(ISessionEscrow.openFromBalance, (opening));
        } else {
            Authorization memory a = _authorization(row.terms, p.openingPaper);
            data = abi.encodeCall(ISessionEscrow.openWithAuthorization, (row.terms, p.deposit, a, quote, quote));
        }
        _step(found, Step.Open, address(escrow), data);
    }

    function _topUp(Row calldata row, Found memory found) private {
        Paying calldata p = row.paying;
        bytes memory data;
        if (p.topUpFromBalance) {
            bytes memory signature = abi.encode(p.topUpDigest);
            data = abi.encodeCall(ISessionEscrow.topUpFromBalance, (row.terms, p.newDeposit, signature));
        } else {
            Authorization memory a = _authorization(row.terms, p.topUpPaper);
            data = abi.encodeCall(ISessionEscrow.topUpWithAuthorization, (row.terms, p.newDeposit, a));
        }
        _step(found, Step.TopUp, address(escrow), data);
    }

    function _voucher(Reading calldata reading) private pure returns (Voucher memory) {
        return Voucher({units: reading.units, journal: reading.journal, r: reading.r, vs: reading.vs});
    }

    function _settle(Row calldata row, Found memory found) private {
        Settlement memory settlement = Settlement({terms: row.terms, voucher: _voucher(row.first)});
        _step(found, Step.Settle, address(escrow), abi.encodeCall(ISessionEscrow.settle, (settlement)));
    }

    function _leave(Row calldata row, Found memory found) private {
        bytes memory signature = abi.encode(row.ending.leavingDigest);
        bytes memory data = abi.encodeCall(ISessionEscrow.requestClose, (row.terms, row.ending.leaver, signature));
        _step(found, Step.RequestClose, address(escrow), data);
    }

    function _close(Row calldata row, Found memory found) private {
        Closing memory closing = Closing({
            terms: row.terms,
            voucher: _voucher(row.last),
            deadline: row.ending.deadline,
            advisorSignature: abi.encode(row.ending.closingDigest)
        });
        _step(found, Step.Close, address(escrow), abi.encodeCall(ISessionEscrow.closeFor, (closing)));
    }

    function _rate(Row calldata row, Found memory found) private {
        Ending calldata e = row.ending;
        bytes memory rating =
            abi.encodeCall(ISessionEscrow.rate, (row.terms, e.score, e.commentHash, abi.encode(e.ratingDigest)));
        _step(found, Step.Rate, address(escrow), rating);
        bytes memory answer =
            abi.encodeCall(ISessionEscrow.answer, (row.terms, e.answerHash, abi.encode(e.answerDigest)));
        _step(found, Step.Answer, address(escrow), answer);
    }

    function _tip(Row calldata row, Found memory found) private {
        Tipping calldata t = row.tipping;
        Authorization memory a = _authorization(row.terms, t.paper);
        (address advisor, address token) = (row.terms.advisorOf(), row.terms.tokenOf());
        bytes memory data = abi.encodeCall(
            ITipJar.tipWithAuthorization, (t.tipper, advisor, t.sessionId, token, t.amount, t.memo, t.salt, a)
        );
        _step(found, Step.Tip, address(jar), data);
    }

    function _withdraw(Withdrawing calldata w) private returns (Refusal memory) {
        bytes memory data = abi.encodeCall(
            ISessionEscrow.withdrawFor, (w.account, w.token, w.amount, w.to, w.nonce, w.deadline, abi.encode(w.digest))
        );
        (bool done, bytes memory why) = address(escrow).call(data);
        return done ? RefusalLib.cut("") : RefusalLib.cut(why);
    }
}
