// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {Terms} from "../Base.sol";
import {Stage} from "./Stage.sol";

/// @title Terms by chance, sensible and senseless
abstract contract Quotes is Stage {
    address internal constant ANY_TOKEN = address(1);

    uint96 private _salt;

    /// @dev New terms, known to the ghost from now on. The payer and the token by the dice, if they are not given.
    function _quote(uint256 seed, address payer, address token) internal returns (bytes32 id) {
        Terms memory t;
        t.token = token == ANY_TOKEN ? _someToken(seed) : token;
        _parties(seed, t, payer);
        _price(seed, t);
        uint256 span = _roll(seed, "open before", 10);
        uint256 ahead = span == 0 ? 1 : span == 1 ? 30 days : span < 5 ? 10 minutes : 2 days;
        t.openBefore = uint40(_now + ahead);
        span = _roll(seed, "grace", 8);
        t.closeGrace = span == 0 ? 7 days : span < 3 ? 10 minutes : uint24(10 minutes + _roll(seed, "long", 2 hours));
        t.context = bytes32(seed);
        t.salt = ++_salt;
        if (_chance(seed, "senseless", 6)) _spoil(seed, t);
        bytes32 termsHash = _hashOf(t);
        id = _typed(SEPARATOR, termsHash);
        _papers[id] = Paper(termsHash, _pack(t));
        ghost.quote(id, t);
    }

    function _someToken(uint256 seed) private view returns (address) {
        uint256 kind = _roll(seed, "token", 100);
        if (kind < 3) return FEE;
        if (kind < 18) return COIN;
        if (kind < 30) return PLAIN;
        if (kind < 42) return SILENT;
        if (kind < 56) return BLACK;
        if (kind < 70) return HOOK;
        return DOLLAR;
    }

    function _parties(uint256 seed, Terms memory t, address payer) private view {
        t.client = _oneOf(seed, "client", _clients);
        t.advisor = _oneOf(seed, "advisor", _advisors);
        uint256 kind = _roll(seed, "payer", 20);
        t.payer = kind < 9 ? t.client : kind < 19 ? _oneOf(seed, "sponsor", _sponsors) : t.advisor;
        if (payer != address(0)) {
            t.payer = payer;
            if (payer == t.advisor || kind < 6) t.advisor = _advisors[0]; // mostly one who signs with a key
        }
        t.meterKey = _chance(seed, "meter", 70) ? METER : OTHER_METER;
        kind = _roll(seed, "share", 10);
        uint16[6] memory shares = [uint16(1), 333, 1_000, 3_333, 9_999, 10_000];
        t.feeBps = kind < 2 ? 0 : kind < 8 ? shares[kind - 2] : uint16(_roll(seed, "bps", 10_001));
        kind = _roll(seed, "platform", 10);
        t.feeRecipient = kind == 0 ? t.client : kind == 1 ? t.advisor : _oneOf(seed, "which", _platforms);
    }

    function _price(uint256 seed, Terms memory t) private view {
        uint256 one = _one(t.token);
        t.tariff.connectFee = uint80(_chance(seed, "connect", 50) ? 0 : _roll(seed, "connect fee", 2 * one));
        uint256 kind = _roll(seed, "price", 10);
        t.tariff.unitPrice = uint80(kind == 0 ? 1 : 1 + _roll(seed, "unit price", 3 * one));
        uint32[5] memory spans = [uint32(60), 60, 1, 3_600, 1 days];
        kind = _roll(seed, "unit", 12);
        if (kind < 5) t.tariff.unitSeconds = spans[kind];
        if (kind == 5) t.tariff.unitSeconds = uint32(1 + _roll(seed, "seconds of a unit", 1 days));
        if (_chance(seed, "included", 35)) t.tariff.includedUnits = uint32(1 + _roll(seed, "free", 5));
        if (_chance(seed, "step", 35)) {
            t.tariff.stepUnits = t.tariff.includedUnits + uint32(1 + _roll(seed, "step at", 10));
            t.tariff.stepPrice = uint80(_roll(seed, "step price", 3 * one));
            if (t.tariff.stepPrice != 0 && _chance(seed, "free before the step", 10)) t.tariff.unitPrice = 0;
        }
        if (_chance(seed, "capped", 35)) {
            t.tariff.maxUnits = t.tariff.includedUnits + t.tariff.stepUnits + uint32(1 + _roll(seed, "cap", 30));
        }
    }

    /// @dev Other words for the same terms, as long as the hash is the same: what opens has one form only, what is open
    /// already may be spelled in any.
    function _misspell(uint256 seed, PackedTerms memory p) internal pure returns (uint16 dirt, bool spelled) {
        spelled = bytes20(p.payer) == 0 && _chance(seed, "spelled", 50);
        if (spelled) p.payer |= bytes32(bytes20(p.client));
        if (spelled && _chance(seed, "clean", 50)) return (0, true);
        dirt = uint16(1 + _roll(seed, "dirt", type(uint16).max));
        p.payer |= bytes32(uint256(dirt));
    }

    /// @dev One thing that makes no sense, for each error that says so, on both sides of its bounds where it has any.
    function _spoil(uint256 seed, Terms memory t) private view {
        uint256 kind = _roll(seed, "spoil", 23);
        if (kind == 0) (t.tariff.stepUnits, t.tariff.stepPrice) = (0, 1);
        if (kind == 1) t.tariff.stepUnits = t.tariff.includedUnits = 3;
        if (kind == 2) t.tariff.unitSeconds = 1 days + 1;
        if (kind == 3) t.feeBps = 10_001;
        if (kind == 4) (t.feeBps, t.feeRecipient) = (1, address(0));
        if (kind == 5) t.closeGrace = 10 minutes - 1;
        if (kind == 6) t.closeGrace = 7 days + 1;
        if (kind == 7) t.openBefore = uint40(_now);
        if (kind == 8) t.openBefore = uint40(_now + 30 days + 1);
        if (kind == 9 || kind == 10) (t.tariff.connectFee, t.tariff.unitPrice, t.tariff.stepPrice) = (0, 0, 0);
        if (kind == 10) (t.tariff.includedUnits, t.tariff.stepUnits, t.tariff.maxUnits) = (5, 0, 5);
        if (kind == 11) t.client = address(0);
        if (kind == 12) t.client = t.advisor;
        if (kind == 13) t.client = address(escrow);
        if (kind == 14) t.payer = address(escrow);
        if (kind == 15) t.advisor = address(0);
        if (kind == 16) t.advisor = address(escrow);
        if (kind == 17) t.meterKey = address(0);
        if (kind == 18) t.meterKey = t.advisor;
        if (kind == 19) t.meterKey = address(escrow);
        if (kind == 20) t.token = address(escrow);
        if (kind == 21) t.feeRecipient = address(escrow);
        if (kind == 22) t.tariff.unitPrice = type(uint80).max; // makes sense, and nobody can pay the fee
    }
}
