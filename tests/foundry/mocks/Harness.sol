// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {PackedTerms, TermsLib} from "../../../contracts/libraries/Terms.sol";
import {Signatures} from "../../../contracts/libraries/Signatures.sol";
import {Slot, SlotLib} from "../../../contracts/libraries/Slot.sol";
import {Tariff, Terms} from "../Base.sol";

/// @dev Makes the library's reading of packed terms callable.
contract TermsHarness {
    function unpack(PackedTerms calldata p) public pure returns (Terms memory t) {
        t.client = p.clientOf();
        t.payer = p.payerOf();
        t.advisor = p.advisorOf();
        t.meterKey = p.meterKey();
        t.token = p.tokenOf();
        t.tariff = Tariff({
            connectFee: p.connectFee(),
            unitPrice: p.unitPrice(),
            unitSeconds: p.unitSeconds(),
            includedUnits: p.includedUnits(),
            stepUnits: p.stepUnits(),
            stepPrice: p.stepPrice(),
            maxUnits: p.maxUnits()
        });
        t.feeBps = p.feeBps();
        t.feeRecipient = p.feeRecipient();
        t.openBefore = p.openBefore();
        t.closeGrace = p.closeGrace();
        t.context = p.context;
        t.salt = p.salt();
    }

    function hash(PackedTerms calldata p) external pure returns (bytes32) {
        return p.hash();
    }

    function fee(PackedTerms calldata p, uint32 units) external pure returns (uint256) {
        return p.fee(units);
    }

    function smallestDeposit(PackedTerms calldata p) external pure returns (uint256) {
        return p.smallestDeposit();
    }

    function typeHashes() external pure returns (bytes32 tariff, bytes32 terms) {
        return (TermsLib.TARIFF_TYPEHASH, TermsLib.TERMS_TYPEHASH);
    }
}

/// @dev Makes the library's judgement of signatures callable.
contract SignaturesHarness {
    function refusal(address signer, bytes32 digest, bytes calldata signature) external view returns (bytes memory) {
        return Signatures.refusal(signer, digest, signature);
    }

    function meterRefusal(address key, bytes32 digest, bytes32 r, bytes32 vs) external view returns (bytes memory) {
        return Signatures.meterRefusal(key, digest, r, vs);
    }

    function isByKey(address signer, bytes32 digest, bytes calldata signature) external view returns (bool byKey) {
        (byKey,) = Signatures.examine(signer, digest, signature);
    }

    function split(bytes calldata signature) external pure returns (uint8 v, bytes32 r, bytes32 s) {
        return Signatures.split(signature);
    }
}

/// @dev A slot through a whole life, with what each step must not disturb.
contract SlotHarness {
    function play(uint80 deposit, uint80 raised, uint80 earned, uint40[3] calldata times, bool fromBalance, uint8 score)
        external
        pure
        returns (Slot opened, Slot closing, Slot closed, Slot rated)
    {
        opened = SlotLib.opened(deposit, times[0], fromBalance);
        closing = opened.withDeposit(raised).withEarned(earned).closing(times[1]);
        closed = closing.ended(earned, times[2]);
        rated = closed.rated(score).withAnswer();
    }

    function revoked(uint40 time) external pure returns (Slot) {
        return SlotLib.revoked(time);
    }
}
