// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {Hashing, Tariff, Terms} from "../Base.sol";
import {TermsHarness} from "../mocks/Harness.sol";
import {Proofs} from "./Proofs.sol";

/// @dev The library's judgement of terms, callable.
contract Judge is TermsHarness {
    function refusal(PackedTerms calldata t, uint80 deposit, address escrow, uint40 time)
        external
        pure
        returns (bytes memory)
    {
        return t.refusal(deposit, escrow, time);
    }
}

/// @dev Terms of any bits: packing loses nothing, the id that the shipped escrow gives them is plain EIP-712's, and those
/// that open make sense.
contract TermsProofs is Proofs, Hashing {
    Judge private judge;

    function setUp() public override {
        super.setUp();
        judge = new Judge();
    }

    // ------------------------------------------------------------------ packing

    function _sameTariff(Tariff memory a, Tariff memory b) private pure {
        assert(a.connectFee == b.connectFee);
        assert(a.unitPrice == b.unitPrice);
        assert(a.unitSeconds == b.unitSeconds);
        assert(a.includedUnits == b.includedUnits);
        assert(a.stepUnits == b.stepUnits);
        assert(a.stepPrice == b.stepPrice);
        assert(a.maxUnits == b.maxUnits);
    }

    function _sameTerms(Terms memory a, Terms memory b) private pure {
        assert(a.client == b.client);
        assert(a.payer == b.payer);
        assert(a.advisor == b.advisor);
        assert(a.meterKey == b.meterKey);
        assert(a.token == b.token);
        _sameTariff(a.tariff, b.tariff);
        assert(a.feeBps == b.feeBps);
        assert(a.feeRecipient == b.feeRecipient);
        assert(a.openBefore == b.openBefore);
        assert(a.closeGrace == b.closeGrace);
        assert(a.context == b.context);
        assert(a.salt == b.salt);
    }

    /// @dev The one packed form: no stray bits, and a payer who is the client is written as zero.
    function _isCanonical(PackedTerms memory p) private pure returns (bool) {
        return uint16(uint256(p.payer | p.advisor)) == 0 && bytes20(p.payer) != bytes20(p.client);
    }

    /// @dev A payer of zero has no packed form: there it means the client.
    function check_packed_terms_unpack_to_every_field_that_was_packed(Terms memory t) external view {
        if (t.payer == address(0)) return;
        _sameTerms(judge.unpack(_pack(t)), t);
    }

    function check_unpacked_terms_pack_to_every_word_that_was_unpacked(PackedTerms memory p) external view {
        if (!_isCanonical(p)) return;
        PackedTerms memory again = _pack(judge.unpack(p));
        assert(again.client == p.client);
        assert(again.payer == p.payer);
        assert(again.advisor == p.advisor);
        assert(again.meter == p.meter);
        assert(again.token == p.token);
        assert(again.share == p.share);
        assert(again.context == p.context);
    }

    // ------------------------------------------------------------------ hashing, where no two inputs share a hash

    function check_ESC14_the_session_id_is_the_eip712_digest_of_the_readable_terms(Terms memory t) external view {
        if (t.payer == address(0)) return;
        bytes32 separator = _separatorOf("Honorarium", block.chainid, address(escrow));
        assert(escrow.sessionIdOf(_pack(t)) == _typed(separator, _hashOf(t)));
    }

    function check_ESC14_no_two_terms_share_an_id(Terms memory t, Terms memory u) external view {
        if (t.payer == address(0) || u.payer == address(0)) return;
        if (escrow.sessionIdOf(_pack(t)) == escrow.sessionIdOf(_pack(u))) _sameTerms(t, u);
    }

    // ------------------------------------------------------------------ what opens

    function check_ESC19_terms_that_open_are_in_the_one_packed_form_and_within_all_limits(
        PackedTerms memory p,
        uint80 deposit,
        address self,
        uint40 time
    ) external view {
        if (judge.refusal(p, deposit, self, time).length != 0) return;
        assert(_isCanonical(p));
        Terms memory t = judge.unpack(p);
        assert(t.tariff.stepUnits == 0 ? t.tariff.stepPrice == 0 : t.tariff.stepUnits > t.tariff.includedUnits);
        assert(t.tariff.unitSeconds <= 1 days);
        assert(t.feeBps <= 10_000 && (t.feeBps == 0 || t.feeRecipient != address(0)));
        assert(t.closeGrace >= 10 minutes && t.closeGrace <= 7 days);
        assert(time < t.openBefore && t.openBefore <= uint256(time) + 30 days);
    }

    function check_ESC11_terms_that_open_name_only_parties_that_can_be_one(
        PackedTerms memory p,
        uint80 deposit,
        address self,
        uint40 time
    ) external view {
        if (judge.refusal(p, deposit, self, time).length != 0) return;
        Terms memory t = judge.unpack(p);
        assert(t.client != address(0) && t.payer != address(0) && t.advisor != address(0) && t.meterKey != address(0));
        assert(t.client != self && t.payer != self && t.advisor != self && t.meterKey != self);
        assert(t.client != t.advisor && t.meterKey != t.advisor);
        assert(t.token != self && t.feeRecipient != self);
    }

    function check_ESC19_terms_that_open_cost_something_and_the_deposit_covers_the_smallest(
        PackedTerms memory p,
        uint80 deposit,
        address self,
        uint40 time
    ) external view {
        if (judge.refusal(p, deposit, self, time).length != 0) return;
        uint256 smallest = judge.smallestDeposit(p);
        assert(0 < smallest && smallest <= deposit);
    }
}
