// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Closing, Opening, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {MoodyRecipient, OwnedWallet} from "../mocks/Wallets.sol";
import {Attack} from "./Attack.sol";

/// @dev A wallet that changes hands.
contract RotatingWallet {
    address public owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function rotate(address owner_) external {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address recovered,,) = ECDSA.tryRecover(digest, signature[:65]);
        return recovered == owner ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @dev Says yes to everything it is asked.
contract YesWallet {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}

/// @dev Parties that change: wallets that change hands, keys that get code, contracts that end.
contract AccountsTest is Attack {
    // ------------------------------------------------------------------ wallets that change hands

    /// @dev Wants earned money void by changing the signer. Vouchers are a key's and never asked of a wallet, so what
    /// was metered stays; what the old owner signed and nobody sent is void, what the new one signs counts. Known from:
    /// payment channels whose vouchers an ERC-1271 rotation voids.
    function test_a_change_of_signers_voids_unsent_messages_and_no_voucher() external {
        RotatingWallet advisor = new RotatingWallet(ADVISOR);
        RotatingWallet client = new RotatingWallet(CLIENT);
        RotatingWallet payer = new RotatingWallet(SPONSOR);
        (keys[address(advisor)], keys[address(client)], keys[address(payer)]) = (ADVISOR_KEY, CLIENT_KEY, SPONSOR_KEY);
        people.push(address(advisor));
        people.push(address(payer));
        Terms memory t = _interactions();
        (t.advisor, t.client, t.payer) = (address(advisor), address(client), address(payer));
        _watch(t);
        _openFromBalance(t, DEPOSIT);
        Closing memory old = _closing(t, 3);
        bytes memory leaving = _leavingCall(t);
        bytes memory topUp = _topUpCall(t, DEPOSIT + 1);
        advisor.rotate(STRANGER);
        client.rotate(STRANGER);
        payer.rotate(STRANGER);
        bytes4 wrong = IErrors.WrongSigner.selector;
        _fails(RELAYER, address(escrow), abi.encodeCall(escrow.closeFor, (old)), wrong);
        _fails(RELAYER, address(escrow), leaving, wrong);
        _fails(RELAYER, address(escrow), topUp, wrong);
        _settle(t, 3); // the voucher holds
        _equal(_session(t).earned, 3_500_000, "earned");
        (keys[t.advisor], keys[t.client], keys[t.payer]) = (STRANGER_KEY, STRANGER_KEY, STRANGER_KEY);
        _works(RELAYER, address(escrow), _topUpCall(t, DEPOSIT + 1));
        _works(RELAYER, address(escrow), _leavingCall(t));
        escrow.closeFor(_closing(t, 4));
        _works(RELAYER, address(escrow), _ratingCall(t, 5));
        _booksAreRight(address(token), 0);
    }

    /// @dev Wants a quote to hold that its wallet has disowned before the opening. It is asked when the session opens,
    /// and only then: afterwards nobody can disown it.
    function test_a_quote_of_a_wallet_that_changed_hands_opens_nothing_and_an_opened_one_stays() external {
        RotatingWallet advisor = new RotatingWallet(ADVISOR);
        keys[address(advisor)] = ADVISOR_KEY;
        Terms memory t = _interactions();
        t.advisor = address(advisor);
        _stock(CLIENT);
        Opening memory o = _opening(t, DEPOSIT);
        advisor.rotate(STRANGER);
        _refuses(t, o, _wrong(address(advisor), ADVISOR));
        advisor.rotate(ADVISOR);
        escrow.openFromBalance(o);
        advisor.rotate(STRANGER);
        _settle(t, 2);
        _equal(escrow.balanceOf(address(token), address(advisor)), 2_250_000, "earned");
    }

    /// @dev Wants to act for a wallet that says yes to everything. It works, and is that wallet's doing: whoever owns
    /// one has given their name and balance to everybody.
    function test_a_wallet_that_says_yes_to_everything_is_everybodys() external {
        YesWallet yes = new YesWallet();
        _stock(address(yes));
        Terms memory t = _interactions();
        t.payer = address(yes);
        Opening memory o = _opening(t, DEPOSIT);
        o.payerSignature = hex"00";
        CHEATS.prank(STRANGER);
        escrow.openFromBalance(o);
        CHEATS.prank(STRANGER);
        escrow.withdrawFor(address(yes), address(token), 70, STRANGER, 0, time, hex"00");
        _equal(token.balanceOf(STRANGER), 70, "taken");
    }

    // ------------------------------------------------------------------ keys with code (EIP-7702)

    /// @dev Wants accounts that have a key and code to be shut out, or doubled: code that refuses everything, burns gas
    /// or bombs, at every party at once, also the meter's. Their keys sign as before.
    function test_accounts_with_key_and_code_act_by_their_keys_whatever_the_code_does() external {
        OwnedWallet.Mood[3] memory moods = [OwnedWallet.Mood.Refuses, OwnedWallet.Mood.BurnsGas, OwnedWallet.Mood.Bombs];
        for (uint96 i = 0; i < 3; ++i) {
            Terms memory t = _sponsored();
            (t.tariff.unitSeconds, t.salt) = (0, i);
            address[4] memory parties = [t.advisor, t.client, t.payer, t.meterKey];
            bytes memory code = address(new OwnedWallet(STRANGER)).code;
            for (uint256 j = 0; j < 4; ++j) {
                CHEATS.etch(parties[j], code);
                OwnedWallet(payable(parties[j])).become(moods[i]);
            }
            _wholeLife(t);
        }
    }

    function _wholeLife(Terms memory t) private {
        _stock(t.payer);
        CHEATS.prank(RELAYER);
        escrow.openFromBalance(_opening(t, DEPOSIT));
        _works(RELAYER, address(escrow), _topUpCall(t, DEPOSIT + 1));
        _settle(t, 1);
        _works(RELAYER, address(escrow), _leavingCall(t));
        escrow.closeFor(_closing(t, 2));
        _works(RELAYER, address(escrow), _ratingCall(t, 5));
        _works(RELAYER, address(escrow), _answerCall(t));
        _equal(_session(t).earned, 2_500_000, "earned");
    }

    /// @dev Wants a payer's refund lost because their account got code after it paid: code that takes no coin. It is
    /// credited and withdrawn by the account's key; when the code is gone, refunds arrive again.
    function test_code_that_an_account_got_after_paying_costs_it_no_refund() external {
        Terms memory t = _interactions();
        t.token = COIN;
        _open(t, DEPOSIT);
        CHEATS.etch(CLIENT, address(new MoodyRecipient()).code);
        MoodyRecipient(payable(CLIENT)).become(MoodyRecipient.Mood.Reverts);
        _close(t, 1);
        uint256 refund = DEPOSIT - 1_500_000;
        _equal(escrow.balanceOf(COIN, CLIENT), refund, "credited");
        bytes32 message = keccak256(abi.encode(_type(WITHDRAWAL_TYPE), CLIENT, COIN, refund, SPONSOR, uint256(0), time));
        uint256 before = SPONSOR.balance;
        escrow.withdrawFor(CLIENT, COIN, refund, SPONSOR, 0, time, _sign(CLIENT_KEY, _digest(message)));
        _equal(SPONSOR.balance - before, refund, "withdrawn by key");
        CHEATS.etch(CLIENT, "");
        (t.salt, before) = (8, CLIENT.balance);
        _open(t, DEPOSIT);
        _close(t, 0);
        _equal(CLIENT.balance, before, "refunded");
    }

    /// @dev Wants an authorization that the escrow takes by key and a token by code to be counted without money. The
    /// token decides about its own money: if it does not move, nothing opens.
    function test_an_authorization_that_the_token_does_not_take_opens_nothing() external {
        Terms memory t = _terms();
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        CHEATS.prank(CLIENT);
        token.transfer(STRANGER, 1_000_000e6); // the token will refuse for its own reasons
        bytes memory open = abi.encodeCall(escrow.openWithAuthorization, (_pack(t), DEPOSIT, a, quote, ""));
        _fails(RELAYER, address(escrow), open, IErrors.TokenCallFailed.selector);
        _equal(uint256(_session(t).status), uint256(Status.None), "status");
    }

    // ------------------------------------------------------------------ contracts that end

    /// @dev Wants an advisor's earnings, or a refund, stuck because a contract that was payer or client destroyed
    /// itself. The advisor closes, or the one who is left asks to; what the dead payer is owed goes to its address, and
    /// in coin is lost there: the payer's own doing.
    function test_a_payer_that_destroyed_itself_holds_nobody_up() external {
        MoodyRecipient payer = new MoodyRecipient();
        CHEATS.deal(address(payer), 1 ether);
        Terms memory t = _interactions();
        (t.payer, t.token) = (address(payer), COIN);
        _open(t, DEPOSIT);
        CHEATS.etch(address(payer), "");
        CHEATS.deal(address(payer), 0);
        _settle(t, 1);
        _leave(t); // the client is left
        _later(t.closeGrace);
        escrow.finalize(_pack(t));
        _equal(escrow.balanceOf(COIN, ADVISOR), 1_350_000, "advisor");
        _equal(address(payer).balance, DEPOSIT - 1_500_000, "at a dead address");
    }

    /// @dev The same with the client: the payer leaves in their place, and nobody rates.
    function test_a_client_that_destroyed_itself_holds_nobody_up() external {
        OwnedWallet client = new OwnedWallet(CLIENT);
        keys[address(client)] = CLIENT_KEY;
        Terms memory t = _sponsored();
        t.client = address(client);
        _openFromBalance(t, DEPOSIT);
        CHEATS.etch(address(client), "");
        _fails(RELAYER, address(escrow), _leavingCall(t), IErrors.WrongSigner.selector);
        _works(SPONSOR, address(escrow), abi.encodeCall(escrow.requestClose, (_pack(t), SPONSOR, "")));
        _settle(t, 1);
        _later(t.closeGrace);
        escrow.finalize(_pack(t));
        _fails(RELAYER, address(escrow), _ratingCall(t, 1), IErrors.WrongSigner.selector);
        _equal(escrow.balanceOf(address(token), SPONSOR), 10_000e6 - 1_500_000, "sponsor");
    }
}
