// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Closing, ISessionEscrow, Opening, Settlement, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {Kind, Kinds} from "./Kinds.sol";

/// @dev A contract in whose name anybody calls anything.
contract Caller {
    function execute(address to, bytes calldata data) external returns (bool done) {
        (done,) = to.call(data);
    }
}

/// @dev Somebody takes a message out of the mempool and is faster than the relayer who carried it.
contract FrontRunTest is Kinds {
    // ------------------------------------------------------------------ the same message in other hands

    /// @dev Wants something to change when the message comes from somebody else, through a contract, or with bytes
    /// behind it. The same happens to everybody, and the relayer's own transaction then finds it done. Known from:
    /// every relay.
    function test_whoever_sends_a_signed_message_and_however_the_same_happens() external {
        _castKeys();
        Caller caller = new Caller();
        for (uint256 i = 0; i < KINDS; ++i) {
            (address to, bytes memory data) = _callOf(Kind(i), _signed(Kind(i)));
            bytes memory longer = bytes.concat(data, "and more behind it");
            uint256 before = MORE_CHEATS.snapshotState();
            _works(RELAYER, to, data);
            bytes32 meant = _world();
            MORE_CHEATS.revertToState(before);
            _works(STRANGER, to, data);
            _equal(_world(), meant, "from somebody else");
            (bool done,) = _send(RELAYER, to, data);
            require(!done, "it happened twice");
            _equal(_world(), meant, "the relayer's own transaction changed something");
            MORE_CHEATS.revertToState(before);
            _works(STRANGER, to, longer);
            _equal(_world(), meant, "with bytes behind it");
            MORE_CHEATS.revertToState(before);
            require(caller.execute(to, data), "refused through a contract");
            _equal(_world(), meant, "through a contract");
            MORE_CHEATS.revertToState(before);
        }
    }

    /// @dev Wants a message to change when it comes as a row of a batch, between rows that fail. It does not.
    function test_a_message_put_into_a_batch_among_bad_rows_does_the_same() external {
        _castKeys();
        Kind[3] memory kinds = [Kind.Opening, Kind.Voucher, Kind.Closing];
        for (uint256 i = 0; i < 3; ++i) {
            (address to, bytes memory data) = _callOf(kinds[i], _signed(kinds[i]));
            uint256 before = MORE_CHEATS.snapshotState();
            _works(RELAYER, to, data);
            bytes32 meant = _world();
            MORE_CHEATS.revertToState(before);
            _works(STRANGER, to, _batch(kinds[i]));
            _equal(_world(), meant, "in a batch");
            MORE_CHEATS.revertToState(before);
        }
    }

    function _batch(Kind kind) private view returns (bytes memory) {
        Terms memory t = _at(kind);
        bytes memory signature = _signed(kind);
        if (kind == Kind.Opening) {
            Opening[] memory rows = new Opening[](3);
            rows[1] = _openingWith(kind, t, signature);
            return abi.encodeCall(escrow.openBatch, (rows));
        }
        if (kind == Kind.Voucher) {
            Settlement[] memory rows = new Settlement[](3);
            rows[1] = _settlementWith(t, signature);
            return abi.encodeCall(escrow.settleBatch, (rows));
        }
        Closing[] memory some = new Closing[](3);
        some[1] = _closingWith(t, signature);
        return abi.encodeCall(escrow.closeBatch, (some));
    }

    /// @dev Wants to spoil a message by sending coin with it. The call fails and the message is as good as before.
    function test_coin_sent_along_with_a_relayed_message_spoils_nothing() external {
        _castKeys();
        CHEATS.deal(STRANGER, 1 ether);
        for (uint256 i = 0; i < KINDS; ++i) {
            (address to, bytes memory data) = _callOf(Kind(i), _signed(Kind(i)));
            CHEATS.prank(STRANGER);
            (bool done,) = to.call{value: 1}(data);
            require(!done, "took the coin");
            _works(RELAYER, to, data);
        }
        _equal(STRANGER.balance, 1 ether, "coin kept");
    }

    // ------------------------------------------------------------------ closings

    /// @dev Wants the advisor's closing to run on a lower voucher of the same meter. Stopped by the units in `Closing`.
    /// Known from: mppx #575, #785.
    function test_a_closing_cannot_be_carried_out_on_a_lower_or_higher_voucher() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 20);
        uint32[3] memory others = [uint32(0), 19, 21];
        for (uint256 i = 0; i < 3; ++i) {
            c.voucher = _voucher(t, others[i]);
            _fails(STRANGER, address(escrow), abi.encodeCall(escrow.closeFor, (c)), IErrors.WrongSigner.selector);
        }
        c.voucher = _voucher(t, 20);
        escrow.closeFor(c);
        _equal(_session(t).earned, 20_500_000, "earned");
    }

    /// @dev Wants another journal in the log than the advisor saw: the meter signs two vouchers of the same units, and
    /// the client is faster with the other one. What limits it: the advisor's closing names the journal too.
    function test_a_closing_is_not_carried_out_on_another_journal_of_the_same_units() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 5);
        bytes32 otherStory = keccak256("another story");
        bytes memory pair = _sign64(METER_KEY, _digest(_voucherHash(t, 5, otherStory)));
        (c.voucher.journal, (c.voucher.r, c.voucher.vs)) = (otherStory, _pair(pair));
        _fails(CLIENT, address(escrow), abi.encodeCall(escrow.closeFor, (c)), IErrors.WrongSigner.selector);
        c.voucher = _voucher(t, 5);
        _expectEvent();
        emit ISessionEscrow.SessionClosed(_idOf(t), 5, 5_500_000, _journal(5));
        CHEATS.prank(RELAYER);
        escrow.closeFor(c);
        _equal(escrow.balanceOf(address(token), ADVISOR), 4_950_000, "advisor");
    }

    /// @dev Wants to hold a signed closing back while the advisor goes on advising, and to close on the old units then.
    /// It works until the deadline: who has signed a closing has stopped. What was settled before it counts all the
    /// same.
    function test_a_closing_that_is_held_back_costs_the_advisor_what_they_advise_afterwards() external {
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 5);
        _settle(t, 12); // settled meanwhile
        CHEATS.prank(CLIENT);
        escrow.closeFor(c); // the meter had signed 20 by now
        _equal(_session(t).earned, 12_500_000, "what was settled");
        Settlement memory late = _settlement(t, 20);
        _fails(ADVISOR, address(escrow), abi.encodeCall(escrow.settle, (late)), IErrors.SessionNotOpen.selector);

        t.salt = 8;
        _open(t, DEPOSIT);
        c = _closing(t, 5);
        _at(uint256(c.deadline) + 1);
        bytes4 expired = IErrors.SignatureExpired.selector;
        _fails(CLIENT, address(escrow), abi.encodeCall(escrow.closeFor, (c)), expired);
    }

    /// @dev Wants an advisor's voucher to come too late, by a request to close right before it. Nothing is too late
    /// before grace ends. Known from: x402 #3464.
    function test_a_request_to_close_in_front_of_a_settlement_takes_nothing_from_the_advisor() external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        _later(10 minutes);
        Settlement memory s = _settlement(t, 11);
        _leave(t);
        _later(t.closeGrace - 1);
        escrow.settle(s);
        _equal(_session(t).earned, 11_500_000, "earned");
    }

    // ------------------------------------------------------------------ money on its way in

    /// @dev Wants the payer's authorization for itself, sent to the token or through a contract. Stopped by the token:
    /// only the escrow, or the jar, may use it.
    function test_an_authorization_sent_straight_to_the_token_moves_nothing() external {
        _castKeys();
        string[2] memory ways = ["receiveWithAuthorization", "transferWithAuthorization"];
        for (uint256 i = uint256(Kind.PaysOpening); i < KINDS; ++i) {
            bytes memory signature = _signed(Kind(i));
            for (uint256 j = 0; j < 2; ++j) {
                (bool done,) = _send(STRANGER, address(token), _straight(ways[j], Kind(i), signature));
                require(!done, "moved");
            }
            (address to, bytes memory data) = _callOf(Kind(i), signature);
            _works(RELAYER, to, data); // as good as before
        }
    }

    function _straight(string memory way, Kind kind, bytes memory signature) private view returns (bytes memory) {
        (address to, uint256 amount, bytes32 nonce) = _paymentOf(kind, _at(kind), 0);
        return abi.encodeWithSignature(
            string.concat(way, "(address,address,uint256,uint256,uint256,bytes32,bytes)"),
            payer,
            to,
            amount,
            begin - 1,
            begin + 1 hours,
            nonce,
            signature
        );
    }

    /// @dev Wants a permit that was meant for the escrow: sends it first. The allowance is there then, and only its
    /// owner's own calls use it: nobody opens, tops up, deposits or tips from somebody else's wallet.
    function test_a_permit_taken_from_the_mempool_pays_for_nobody_else() external {
        CHEATS.prank(CLIENT);
        token.approve(address(escrow), 0);
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                CLIENT,
                address(escrow),
                uint256(DEPOSIT),
                token.nonces(CLIENT),
                time
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = CHEATS.sign(CLIENT_KEY, _typed(token.DOMAIN_SEPARATOR(), permit));
        CHEATS.prank(STRANGER);
        token.permit(CLIENT, address(escrow), DEPOSIT, time, v, r, s);

        Terms memory t = _terms();
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        bytes4 missing = IErrors.SignatureMissing.selector;
        _fails(STRANGER, address(escrow), abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, quote, "")), missing);
        bytes memory deposit = abi.encodeCall(escrow.deposit, (address(token), STRANGER, DEPOSIT));
        _fails(STRANGER, address(escrow), deposit, IErrors.TokenCallFailed.selector);
        CHEATS.prank(CLIENT);
        token.approve(address(jar), DEPOSIT);
        bytes memory tip = abi.encodeCall(jar.tip, (ADVISOR, "", address(token), DEPOSIT, ""));
        _fails(STRANGER, address(jar), tip, IErrors.TokenCallFailed.selector);
        try token.permit(CLIENT, address(escrow), DEPOSIT, time, v, r, s) {
            revert("the permit counted twice");
        } catch {}
        _open(t, DEPOSIT); // what the permit was for still works: do not insist on sending it oneself
        _fails(STRANGER, address(escrow), abi.encodeCall(escrow.topUp, (_pack(t), DEPOSIT + 1)), missing);
    }

    /// @dev Wants a payer's money stuck, by revoking the quote right before it is opened. The opening fails, the money
    /// stays in the wallet or balance, and the authorization is good for nothing else.
    function test_a_quote_revoked_in_front_of_its_opening_costs_the_payer_nothing() external {
        Terms memory t = _terms();
        uint256 wallet = token.balanceOf(CLIENT);
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        CHEATS.prank(ADVISOR);
        escrow.revoke(_pack(t), ADVISOR, "");
        bytes memory open = abi.encodeCall(escrow.openWithAuthorization, (_pack(t), DEPOSIT, a, quote, ""));
        _fails(RELAYER, address(escrow), open, IErrors.SessionExists.selector);
        _equal(token.balanceOf(CLIENT), wallet, "wallet");
    }

    /// @dev Wants an advisor held to a quote that they revoke: opens right before the revocation. It works; a quote
    /// holds until it is revoked. The advisor closes at once and nobody has lost anything.
    function test_a_quote_opened_in_front_of_its_revocation_is_closed_at_no_cost() external {
        Terms memory t = _terms();
        uint256 wallet = token.balanceOf(CLIENT);
        _open(t, DEPOSIT);
        bytes memory revoke = abi.encodeCall(escrow.revoke, (_pack(t), ADVISOR, ""));
        _fails(ADVISOR, address(escrow), revoke, IErrors.SessionExists.selector);
        _close(t, 0);
        _equal(token.balanceOf(CLIENT), wallet, "wallet");
    }

    /// @dev Wants a relayer to pay for an opening that cannot work: signs it and takes the money away before it. Costs
    /// the relayer the gas of one refusal, and nobody else anything.
    function test_a_balance_emptied_in_front_of_an_opening_refuses_that_row_alone() external {
        _castKeys();
        CHEATS.prank(CLIENT);
        escrow.deposit(address(token), CLIENT, DEPOSIT);
        Terms memory good = _at(Kind.Opening);
        (good.payer, good.salt) = (CLIENT, 9);
        Opening[] memory rows = new Opening[](2);
        rows[0] = _opening(_at(Kind.Opening), DEPOSIT);
        rows[1] = _opening(good, DEPOSIT);
        uint256 all = escrow.balanceOf(address(token), SPONSOR);
        CHEATS.prank(SPONSOR);
        escrow.withdraw(address(token), all, SPONSOR);
        _expectEvent();
        emit ISessionEscrow.RowSkipped(
            0,
            _idOf(_at(Kind.Opening)),
            abi.encodeWithSelector(IErrors.BalanceTooSmall.selector, SPONSOR, uint256(DEPOSIT), 0)
        );
        CHEATS.prank(RELAYER);
        escrow.openBatch(rows);
        _equal(uint256(_session(good).status), uint256(Status.Open), "the other row");
    }

    // ------------------------------------------------------------------ two messages of the same signer

    /// @dev Wants the better of two messages that somebody signed in turn: two openings, two top-ups, two ratings.
    /// Whoever sends decides which one counts, once; a withdrawal is undone by another one of the same number.
    function test_of_two_messages_that_exclude_each_other_the_sender_chooses_and_one_counts() external {
        _castKeys();
        Terms memory t = _at(Kind.Opening);
        Opening memory smaller = _opening(t, 2e6);
        _works(STRANGER, address(escrow), abi.encodeCall(escrow.openFromBalance, (_opening(t, DEPOSIT))));
        _fails(
            RELAYER, address(escrow), abi.encodeCall(escrow.openFromBalance, (smaller)), IErrors.SessionExists.selector
        );

        bytes memory less = _topUpCall(t, RAISED);
        _works(STRANGER, address(escrow), _topUpCall(t, RAISED + 1));
        _fails(RELAYER, address(escrow), less, IErrors.DepositNotRaised.selector);

        escrow.closeFor(_closing(t, 1));
        bytes memory bad = _ratingCall(t, 1);
        _works(ADVISOR, address(escrow), _ratingCall(t, 5));
        _fails(RELAYER, address(escrow), bad, IErrors.AlreadyRated.selector);
    }

    /// @dev Wants a withdrawal that its signer has thought better of. Another one of the same number, sent first,
    /// undoes it.
    function test_a_signed_withdrawal_is_undone_by_another_of_the_same_number() external {
        _castKeys();
        (, bytes memory regretted) = _callOf(Kind.Withdrawal, _signed(Kind.Withdrawal));
        bytes32 message = keccak256(
            abi.encode(_type(WITHDRAWAL_TYPE), SPONSOR, address(token), uint256(2), CLIENT, uint256(0), time)
        );
        bytes memory signature = _sign(SPONSOR_KEY, _digest(message));
        escrow.withdrawFor(SPONSOR, address(token), 2, CLIENT, 0, time, signature);
        _fails(STRANGER, address(escrow), regretted, IErrors.WrongNonce.selector);
    }

    // ------------------------------------------------------------------ relayers who are parties

    /// @dev Wants a relayer to consent by sending: leaves the signature out where the relayer is the party. It works,
    /// for a caller needs no signature. So whoever relays for others does it from an account that is no party, has no
    /// balance, and takes no message with an empty signature.
    function test_a_relayer_who_is_a_party_consents_to_every_unsigned_message_that_it_sends() external {
        Terms memory t = _interactions();
        (t.payer, t.client) = (RELAYER, STRANGER);
        _stock(RELAYER);
        Opening[] memory rows = new Opening[](1);
        rows[0] = _opening(t, DEPOSIT);
        _equal(rows[0].payerSignature.length, 0, "the relayer signed nothing");
        CHEATS.prank(RELAYER);
        escrow.openBatch(rows);
        _equal(uint256(_session(t).status), uint256(Status.Open), "opened with the relayer's money");
    }

    // ------------------------------------------------------------------ helpers

    /// @dev All that the contracts and the token know of everybody here.
    function _world() private view returns (bytes32 world) {
        for (uint256 i = 0; i < people.length; ++i) {
            address who = people[i];
            world = keccak256(
                abi.encode(
                    world,
                    token.balanceOf(who),
                    escrow.balanceOf(address(token), who),
                    escrow.balanceOf(COIN, who),
                    escrow.nonces(who)
                )
            );
        }
        for (uint256 i = 0; i < sessions.length; ++i) {
            world = keccak256(abi.encode(world, _session(sessions[i])));
        }
        (uint128 count, uint128 sum) = escrow.ratingOf(advisor);
        world = keccak256(abi.encode(world, count, sum, _held(address(token)), token.balanceOf(address(jar))));
    }
}
