// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Closing, ISessionEscrow, Opening, Settlement, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../contracts/libraries/Tokens.sol";
import {Base, Terms} from "./Base.sol";
import {SignaturesHarness} from "./mocks/Harness.sol";
import {CurtWallet, OneDigestWallet, OwnedWallet} from "./mocks/Wallets.sol";

/// @dev ESC-14: who signed what, in which form, for which chain, contract and type. That each message counts once is
/// tested beside the function that takes it.
contract SignaturesTest is Base {
    // ------------------------------------------------------------------ forms of a key's signature

    function test_signatures_of_65_and_of_64_bytes_count_alike() external {
        _stock(SPONSOR);
        Terms memory t = _sponsored();
        Opening memory o = _opening(t, DEPOSIT);
        o.advisorSignature = _sign64(ADVISOR_KEY, _idOf(t));
        o.clientSignature = _sign64(CLIENT_KEY, _idOf(t));
        o.payerSignature = _sign64(SPONSOR_KEY, _digest(_hashOfOpening(t, DEPOSIT)));
        escrow.openFromBalance(o);
        _equal(uint256(_session(t).status), uint256(Status.Open), "status");
    }

    function test_ESC14_the_mirror_image_of_a_signature_is_refused() external {
        _stock(SPONSOR);
        Terms memory t = _sponsored();
        Opening memory o = _opening(t, DEPOSIT);
        bytes32 highS;
        (o.advisorSignature, highS) = _signHigh(ADVISOR_KEY, _idOf(t));
        _refuses(t, o, abi.encodeWithSelector(IErrors.HighS.selector, highS));

        o = _opening(t, DEPOSIT);
        (o.payerSignature, highS) = _signHigh(SPONSOR_KEY, _digest(_hashOfOpening(t, DEPOSIT)));
        _refuses(t, o, abi.encodeWithSelector(IErrors.HighS.selector, highS));
    }

    function test_signatures_of_any_other_length_are_nobodys(uint8 length) external {
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 0);
        bytes memory whole = bytes.concat(c.advisorSignature, new bytes(191));
        if (length == 0 || length == 64 || length == 65) return;
        assembly {
            mstore(whole, length)
        }
        c.advisorSignature = whole;
        _refuses(t, c, _wrong(ADVISOR, address(0)));
    }

    function test_a_parity_other_than_27_or_28_is_nobodys(uint8 v) external {
        if (v == 27 || v == 28) return;
        Terms memory t = _terms();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 0);
        c.advisorSignature[64] = bytes1(v);
        _refuses(t, c, _wrong(ADVISOR, address(0)));
    }

    function test_ESC14_s_of_exactly_half_the_order_counts_and_one_above_does_not() external {
        // Whoever these numbers recover to has signed, as far as anybody can tell.
        SignaturesHarness signatures = new SignaturesHarness();
        bytes32 r = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798;
        bytes32 digest = keccak256("digest");
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 s = bytes32(ORDER / 2 - 1 + i);
            address signer = ecrecover(digest, 27, r, s);
            require(signer != address(0), "recovers");
            bytes memory why = i < 2 ? bytes("") : abi.encodeWithSelector(IErrors.HighS.selector, s);
            _equal(signatures.refusal(signer, digest, abi.encodePacked(r, s, uint8(27))), why, "65 bytes");
            _equal(signatures.refusal(signer, digest, abi.encodePacked(r, s)), why, "64 bytes");
            _equal(signatures.meterRefusal(signer, digest, r, s), why, "meter key");
            require(signatures.isByKey(signer, digest, abi.encodePacked(r, s, uint8(27))) == (i < 2), "by key");
        }
    }

    function test_ESC14_a_wallet_whose_code_accepts_a_mirror_image_has_signed_as_a_wallet() external {
        // What a wallet accepts is up to the wallet; its key has not signed.
        SignaturesHarness signatures = new SignaturesHarness();
        OneDigestWallet code = new OneDigestWallet();
        CHEATS.etch(ADVISOR, address(code).code);
        bytes32 digest = keccak256("digest");
        (bytes memory high,) = _signHigh(ADVISOR_KEY, digest);
        _equal(signatures.refusal(ADVISOR, digest, high), _wrong(ADVISOR, ADVISOR), "not accepted");
        OneDigestWallet(ADVISOR).accept(digest);
        _equal(signatures.refusal(ADVISOR, digest, high), "", "accepted");
        require(!signatures.isByKey(ADVISOR, digest, high), "by key");
    }

    function test_a_signature_is_split_alike_from_65_and_64_bytes_with_either_parity(bytes32 digest) external {
        SignaturesHarness signatures = new SignaturesHarness();
        (uint8 v, bytes32 r, bytes32 s) = CHEATS.sign(CLIENT_KEY, digest);
        bytes memory expected = abi.encode(v, r, s);
        (v, r, s) = signatures.split(_sign(CLIENT_KEY, digest));
        _equal(abi.encode(v, r, s), expected, "65 bytes");
        (v, r, s) = signatures.split(_sign64(CLIENT_KEY, digest));
        _equal(abi.encode(v, r, s), expected, "64 bytes");
    }

    function test_an_authorization_in_64_bytes_pays_with_either_parity() external {
        Terms memory t = _terms();
        bool[2] memory seen;
        for (uint96 salt = 0; !seen[0] || !seen[1]; ++salt) {
            require(salt < 64, "only one parity");
            t.salt = salt;
            Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
            a.signature = _sign64(CLIENT_KEY, _receiveDigest(CLIENT, address(escrow), DEPOSIT, a, _idOf(t)));
            seen[uint8(a.signature[32]) >> 7] = true;
            bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
            escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
        }
    }

    // ------------------------------------------------------------------ a signature that is given is checked

    function test_a_signature_that_is_given_to_any_function_is_checked_even_if_its_owner_calls() external {
        bytes memory other = _sign(STRANGER_KEY, keccak256("something else"));
        Terms memory t = _interactions();
        _stock(CLIENT);
        Opening memory o = _opening(t, DEPOSIT);
        o.payerSignature = other;
        _refusedTo(CLIENT, abi.encodeCall(escrow.openFromBalance, (o)));
        _refusedTo(ADVISOR, abi.encodeCall(escrow.revoke, (_pack(t), ADVISOR, other)));
        _open(t, DEPOSIT);
        _refusedTo(CLIENT, abi.encodeCall(escrow.topUpFromBalance, (_pack(t), DEPOSIT + 1, other)));
        _refusedTo(CLIENT, abi.encodeCall(escrow.requestClose, (_pack(t), CLIENT, other)));
        Closing memory c = _closing(t, 1);
        c.advisorSignature = other;
        _refusedTo(ADVISOR, abi.encodeCall(escrow.closeFor, (c)));
        _close(t, 1);
        _refusedTo(CLIENT, abi.encodeCall(escrow.rate, (_pack(t), 5, "", other)));
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 5, "", "");
        _refusedTo(ADVISOR, abi.encodeCall(escrow.answer, (_pack(t), "", other)));
    }

    function _refusedTo(address caller, bytes memory call) private {
        CHEATS.prank(caller);
        _refused(call);
    }

    // ------------------------------------------------------------------ wallets (ERC-1271)

    function test_contract_wallets_are_advisor_client_and_payer() external {
        OwnedWallet advisor = new OwnedWallet(ADVISOR);
        OwnedWallet client = new OwnedWallet(CLIENT);
        OwnedWallet payer = new OwnedWallet(SPONSOR);
        keys[address(advisor)] = ADVISOR_KEY;
        keys[address(client)] = CLIENT_KEY;
        keys[address(payer)] = SPONSOR_KEY;
        Terms memory t = _interactions();
        (t.advisor, t.client, t.payer) = (address(advisor), address(client), address(payer));
        _openFromBalance(t, DEPOSIT);
        escrow.topUpFromBalance(_pack(t), DEPOSIT + 1, _signBy(t.payer, _topUpHash(t, DEPOSIT + 1)));
        escrow.settle(_settlement(t, 1));
        escrow.requestClose(_pack(t), t.client, _signBy(t.client, _leaving(t)));
        escrow.closeFor(_closing(t, 2));
        escrow.rate(_pack(t), 5, "", _signBy(t.client, _ratingHash(t, 5, "")));
        escrow.answer(_pack(t), "", _signBy(t.advisor, _answerHash(t, "")));
        _equal(_session(t).earned, 2_500_000, "earned");
        t.salt = 8;
        escrow.revoke(_pack(t), t.advisor, _signBy(t.advisor, _revocation(t)));
    }

    function test_a_wallet_that_was_told_of_a_digest_before_needs_no_signature() external {
        OneDigestWallet payer = new OneDigestWallet();
        Terms memory t = _sponsored();
        t.payer = address(payer);
        _stock(t.payer);
        Opening memory o = _opening(t, DEPOSIT);
        o.payerSignature = "";
        _refuses(t, o, _wrong(t.payer, address(0)));
        payer.accept(_digest(_hashOfOpening(t, DEPOSIT)));
        CHEATS.prank(RELAYER);
        escrow.openFromBalance(o);
        _equal(_session(t).deposit, DEPOSIT, "opened");
    }

    function test_a_contract_wallet_pays_by_eip3009_in_its_form_with_bytes() external {
        OneDigestWallet wallet = new OneDigestWallet();
        _fund(address(wallet));
        Terms memory t = _sponsored();
        t.payer = address(wallet);
        Authorization memory a;
        (a.validAfter, a.validBefore, a.signature) = (time - 1, time + 1, hex"c0ffee");
        wallet.accept(_receiveDigest(t.payer, address(escrow), DEPOSIT, a, _idOf(t)));
        (bytes memory quote, bytes memory consent) = (_sign(ADVISOR_KEY, _idOf(t)), _sign(CLIENT_KEY, _idOf(t)));
        CHEATS.expectRevert(_wrong(t.payer, address(0)));
        escrow.openWithAuthorization(_pack(t), DEPOSIT + 1, a, quote, consent);
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, consent);
        _equal(uint256(_session(t).status), uint256(Status.Open), "status");
    }

    function test_a_wallet_that_does_anything_but_accept_has_not_signed() external {
        OwnedWallet wallet = new OwnedWallet(ADVISOR);
        keys[address(wallet)] = ADVISOR_KEY;
        Terms memory t = _terms();
        t.advisor = address(wallet);
        _stock(CLIENT);
        OwnedWallet.Mood[5] memory moods = [
            OwnedWallet.Mood.Refuses,
            OwnedWallet.Mood.Reverts,
            OwnedWallet.Mood.BurnsGas,
            OwnedWallet.Mood.Bombs,
            OwnedWallet.Mood.AnswersShort
        ];
        Opening memory o = _opening(t, DEPOSIT);
        for (uint256 i = 0; i < moods.length; ++i) {
            wallet.become(moods[i]);
            _refuses(t, o, _wrong(address(wallet), ADVISOR));
        }
        wallet.become(OwnedWallet.Mood.Slow); // within what it may use
        escrow.openFromBalance(o);
    }

    function test_a_wallet_that_answers_less_than_a_word_has_not_signed_whatever_lay_where_the_answer_goes() external {
        // Recovering a key leaves the digest where the answer goes: with zeros behind it, four bytes would look whole.
        SignaturesHarness signatures = new SignaturesHarness();
        bytes memory nobodys = new bytes(65);
        uint256[5] memory sizes = [uint256(0), 4, 31, 32, 33];
        for (uint256 i = 0; i < sizes.length; ++i) {
            address wallet = address(new CurtWallet(sizes[i]));
            bytes memory why = sizes[i] < 32 ? _wrong(wallet, address(0)) : bytes("");
            _equal(signatures.refusal(wallet, bytes32(0), nobodys), why, "digest of zeros");
            bytes32 yes = bytes32(CurtWallet.isValidSignature.selector);
            _equal(signatures.refusal(wallet, yes, nobodys), why, "digest that is the answer");
        }
    }

    function test_a_wallets_check_costs_no_more_than_it_may() external {
        OwnedWallet wallet = new OwnedWallet(ADVISOR);
        keys[address(wallet)] = ADVISOR_KEY;
        Terms memory t = _terms();
        t.advisor = address(wallet);
        _open(t, DEPOSIT);
        Closing[] memory rows = new Closing[](1);
        rows[0] = _closing(t, 0);
        wallet.become(OwnedWallet.Mood.BurnsGas);
        uint256 before = gasleft();
        escrow.closeBatch(rows);
        require(before - gasleft() < 450_000, "burnt more");
    }

    function test_too_little_gas_for_a_wallets_check_stops_everything() external {
        OwnedWallet wallet = new OwnedWallet(ADVISOR);
        keys[address(wallet)] = ADVISOR_KEY;
        Terms memory t = _terms();
        t.advisor = address(wallet);
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 0);
        try escrow.closeFor{gas: 400_000}(c) {
            revert("closed");
        } catch (bytes memory why) {
            require(bytes4(why) == IErrors.NotEnoughGas.selector, "refused for another reason");
        }
    }

    // ------------------------------------------------------------------ accounts with a key and code (EIP-7702)

    function test_an_account_with_a_key_and_code_signs_with_its_key() external {
        OwnedWallet code = new OwnedWallet(STRANGER);
        CHEATS.etch(ADVISOR, address(code).code);
        OwnedWallet(payable(ADVISOR)).become(OwnedWallet.Mood.Refuses);
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        escrow.closeFor(_closing(t, 1));
        _equal(_session(t).earned, 1_500_000, "earned");
    }

    function test_an_account_with_a_key_and_code_signs_with_what_its_code_accepts_too() external {
        OwnedWallet code = new OwnedWallet(STRANGER);
        CHEATS.etch(ADVISOR, address(code).code);
        Terms memory t = _interactions();
        _open(t, DEPOSIT);
        Closing memory c = _closing(t, 1);
        c.advisorSignature = _sign(STRANGER_KEY, _digest(_closingHash(t, 1, c.deadline)));
        escrow.closeFor(c);
        _equal(_session(t).earned, 1_500_000, "earned");
    }

    function test_a_payer_with_a_key_and_code_pays_by_eip3009_with_their_key() external {
        OwnedWallet code = new OwnedWallet(STRANGER);
        CHEATS.etch(CLIENT, address(code).code);
        OwnedWallet(payable(CLIENT)).become(OwnedWallet.Mood.BurnsGas);
        Terms memory t = _terms();
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
        _equal(uint256(_session(t).status), uint256(Status.Open), "status");
    }

    function test_a_meter_key_is_never_asked_as_a_wallet() external {
        Terms memory t = _interactions();
        OwnedWallet code = new OwnedWallet(STRANGER);
        CHEATS.etch(t.meterKey, address(code).code);
        _open(t, DEPOSIT);
        Settlement memory s = Settlement(_pack(t), _voucherBy(STRANGER_KEY, t, 1));
        _refuses(t, s, _wrong(t.meterKey, STRANGER));
        _settle(t, 1);
    }

    // ------------------------------------------------------------------ replays

    function test_ESC14_nothing_signed_for_another_contract_counts() external {
        ISessionEscrow here = escrow;
        Terms memory t = _interactions();
        escrow = ISessionEscrow(_shipped("SessionEscrow"));
        _signedElsewhereIsNobodys(here, t);
    }

    function test_ESC14_nothing_signed_for_another_chain_counts() external {
        Terms memory t = _interactions();
        CHEATS.chainId(31338);
        _signedElsewhereIsNobodys(escrow, t);
    }

    /// @dev Signs everything for `escrow` on the present chain, then sends it to `here` on chain 31337.
    function _signedElsewhereIsNobodys(ISessionEscrow here, Terms memory t) private {
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        Settlement memory s = _settlement(t, 1);
        Closing memory c = _closing(t, 0);
        bytes memory leaving = _signBy(CLIENT, _leaving(t));
        bytes memory withdrawal = _signBy(
            CLIENT, keccak256(abi.encode(_type(WITHDRAWAL_TYPE), CLIENT, address(token), 1, CLIENT, uint256(0), time))
        );
        CHEATS.chainId(31337);
        escrow = here;
        _fund(CLIENT);
        CHEATS.prank(CLIENT);
        _refused(abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, quote, "")));
        _open(t, DEPOSIT);
        _refused(abi.encodeCall(escrow.settle, (s)));
        _refused(abi.encodeCall(escrow.closeFor, (c)));
        _refused(abi.encodeCall(escrow.requestClose, (_pack(t), CLIENT, leaving)));
        _refused(abi.encodeCall(escrow.withdrawFor, (CLIENT, address(token), 1, CLIENT, 0, time, withdrawal)));
    }

    function test_ESC14_after_a_fork_that_changes_the_chain_id_old_signatures_count_only_on_the_old_chain() external {
        Terms memory t = _interactions();
        bytes32 oldId = _idOf(t);
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        CHEATS.chainId(31338);
        require(escrow.sessionIdOf(_pack(t)) == _idOf(t) && _idOf(t) != oldId, "the id follows the chain");
        CHEATS.prank(CLIENT);
        _refused(abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, quote, "")));
        _open(t, DEPOSIT); // signed for the new chain
        _settle(t, 1);
        CHEATS.chainId(31337);
        _equal(escrow.sessionIdOf(_pack(t)), oldId, "back");
    }

    function test_ESC14_no_message_stands_for_another_of_the_same_signer() external {
        Terms memory t = _sponsored();
        t.tariff.unitSeconds = 0;
        _openFromBalance(t, DEPOSIT);
        // The sponsor's and the client's and the advisor's messages over the same session, each offered as another.
        bytes[] memory signatures = new bytes[](8);
        bytes32[8] memory hashes = [
            _hashOf(t),
            _hashOfOpening(t, DEPOSIT),
            _leaving(t),
            _revocation(t),
            _topUpHash(t, DEPOSIT + 1),
            _ratingHash(t, 5, ""),
            _answerHash(t, ""),
            _voucherHash(t, 5, "")
        ];
        for (uint256 i = 0; i < 8; ++i) {
            signatures[i] = _signBy(CLIENT, hashes[i]);
            if (i != 2) _refused(abi.encodeCall(escrow.requestClose, (_pack(t), CLIENT, signatures[i])));
            signatures[i] = _signBy(SPONSOR, hashes[i]);
            if (i != 4) _refused(abi.encodeCall(escrow.topUpFromBalance, (_pack(t), DEPOSIT + 1, signatures[i])));
            signatures[i] = _signBy(ADVISOR, hashes[i]);
            Closing memory c = _closing(t, 5);
            c.advisorSignature = signatures[i];
            _refused(abi.encodeCall(escrow.closeFor, (c)));
        }
        _close(t, 1);
        for (uint256 i = 0; i < 8; ++i) {
            signatures[i] = _signBy(CLIENT, hashes[i]);
            if (i != 5) _refused(abi.encodeCall(escrow.rate, (_pack(t), 5, "", signatures[i])));
        }
        CHEATS.prank(CLIENT);
        escrow.rate(_pack(t), 5, "", "");
        for (uint256 i = 0; i < 8; ++i) {
            signatures[i] = _signBy(ADVISOR, hashes[i]);
            if (i != 6) _refused(abi.encodeCall(escrow.answer, (_pack(t), "", signatures[i])));
        }
        t.salt = 8; // not opened
        for (uint256 i = 0; i < 8; ++i) {
            signatures[i] = _signBy(ADVISOR, hashes[i]);
            _refused(abi.encodeCall(escrow.revoke, (_pack(t), ADVISOR, signatures[i])));
        }
    }

    function test_ESC14_nothing_signed_for_another_session_counts() external {
        _stock(CLIENT);
        Terms memory t = _interactions();
        Terms memory other = _interactions();
        other.salt = 8;
        Opening memory o = _opening(t, DEPOSIT);
        o.payerSignature = _signBy(CLIENT, _hashOfOpening(other, DEPOSIT));
        _refused(abi.encodeCall(escrow.openFromBalance, (o)));
        o = _opening(t, DEPOSIT);
        o.advisorSignature = _signBy(ADVISOR, _hashOf(other));
        _refused(abi.encodeCall(escrow.openFromBalance, (o)));
        _open(t, DEPOSIT);
        bytes memory signature = _signBy(CLIENT, _topUpHash(other, DEPOSIT + 1));
        _refused(abi.encodeCall(escrow.topUpFromBalance, (_pack(t), DEPOSIT + 1, signature)));
        signature = _signBy(CLIENT, _leaving(other));
        _refused(abi.encodeCall(escrow.requestClose, (_pack(t), CLIENT, signature)));
        Closing memory c = _closing(t, 0);
        c.advisorSignature = _signBy(ADVISOR, _closingHash(other, 0, c.deadline));
        _refused(abi.encodeCall(escrow.closeFor, (c)));
    }

    function test_whoever_sends_somebodys_message_first_changes_nothing_for_them() external {
        // A stranger takes the relayer's transaction and is faster: the same happens, and the relayer's copy fails.
        Terms memory t = _interactions();
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        bytes memory quote = _sign(ADVISOR_KEY, _idOf(t));
        CHEATS.prank(STRANGER);
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
        CHEATS.expectRevert(abi.encodeWithSelector(IErrors.SessionExists.selector, _idOf(t)));
        CHEATS.prank(RELAYER);
        escrow.openWithAuthorization(_pack(t), DEPOSIT, a, quote, "");
        Closing memory c = _closing(t, 3);
        CHEATS.prank(STRANGER);
        escrow.closeFor(c);
        CHEATS.expectRevert(_notOpen(t));
        CHEATS.prank(RELAYER);
        escrow.closeFor(c);
        _equal(escrow.balanceOf(address(token), ADVISOR), 3_150_000, "advisor");
        _equal(escrow.balanceOf(address(token), STRANGER), 0, "stranger");
        _equal(token.balanceOf(STRANGER), 0, "stranger");
    }

    function _refused(bytes memory call) private {
        (bool done, bytes memory why) = address(escrow).call(call);
        require(!done, "taken");
        require(bytes4(why) == IErrors.WrongSigner.selector, "refused for another reason");
    }
}
