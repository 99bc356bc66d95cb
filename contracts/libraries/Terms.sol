// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IErrors, Party} from "../interfaces/IErrors.sol";

/// @notice The terms of a session as they travel in calldata and stand in the log: seven words instead of nineteen.
/// People and wallets never see this form; they sign the readable EIP-712 `Terms` that it unpacks to.
/// @dev Each word is an address in its upper 160 bits and what fits beside it. There is one packed form only: `payer` and
/// `advisor` end in 16 zero bits, and a payer who is the client is written as zero, because zeros are cheap to send.
struct PackedTerms {
    bytes32 client; // client 160 | connectFee 80 | feeBps 16
    bytes32 payer; // payer 160, zero: the client | unitPrice 80 | zero 16
    bytes32 advisor; // advisor 160 | stepPrice 80 | zero 16
    bytes32 meter; // meterKey 160 | unitSeconds 32 | includedUnits 32 | stepUnits 32
    bytes32 token; // token 160 | maxUnits 32 | openBefore 40 | closeGrace 24
    bytes32 share; // feeRecipient 160 | salt 96
    bytes32 context;
}

using TermsLib for PackedTerms global;

/// @title Reading, hashing, pricing and refusing terms
library TermsLib {
    /// @dev Nested types stand in alphabetical order behind the primary one (EIP-712, encodeType).
    bytes32 internal constant TARIFF_TYPEHASH = keccak256(
        "Tariff(uint80 connectFee,uint80 unitPrice,uint32 unitSeconds,uint32 includedUnits,uint32 stepUnits,uint80 stepPrice,uint32 maxUnits)"
    );
    bytes32 internal constant TERMS_TYPEHASH = keccak256(
        "Terms(address client,address payer,address advisor,address meterKey,address token,Tariff tariff,uint16 feeBps,address feeRecipient,uint40 openBefore,uint24 closeGrace,bytes32 context,uint96 salt)"
        "Tariff(uint80 connectFee,uint80 unitPrice,uint32 unitSeconds,uint32 includedUnits,uint32 stepUnits,uint80 stepPrice,uint32 maxUnits)"
    );

    uint32 internal constant LONGEST_UNIT = 1 days; // seconds
    uint24 internal constant SHORTEST_GRACE = 10 minutes; // seconds
    uint24 internal constant LONGEST_GRACE = 7 days; // seconds
    uint40 internal constant LONGEST_QUOTE = 30 days; // seconds
    uint16 internal constant WHOLE_SHARE = 10_000; // hundredths of a percent

    // ------------------------------------------------------------------ the parts

    function clientOf(PackedTerms calldata t) internal pure returns (address) {
        return address(bytes20(t.client));
    }

    function payerOf(PackedTerms calldata t) internal pure returns (address payer) {
        payer = address(bytes20(t.payer));
        if (payer == address(0)) payer = clientOf(t);
    }

    function advisorOf(PackedTerms calldata t) internal pure returns (address) {
        return address(bytes20(t.advisor));
    }

    function meterKey(PackedTerms calldata t) internal pure returns (address) {
        return address(bytes20(t.meter));
    }

    function tokenOf(PackedTerms calldata t) internal pure returns (address) {
        return address(bytes20(t.token));
    }

    function feeRecipient(PackedTerms calldata t) internal pure returns (address) {
        return address(bytes20(t.share));
    }

    function connectFee(PackedTerms calldata t) internal pure returns (uint80) {
        return uint80(uint256(t.client) >> 16);
    }

    function feeBps(PackedTerms calldata t) internal pure returns (uint16) {
        return uint16(uint256(t.client));
    }

    function unitPrice(PackedTerms calldata t) internal pure returns (uint80) {
        return uint80(uint256(t.payer) >> 16);
    }

    function stepPrice(PackedTerms calldata t) internal pure returns (uint80) {
        return uint80(uint256(t.advisor) >> 16);
    }

    function unitSeconds(PackedTerms calldata t) internal pure returns (uint32) {
        return uint32(uint256(t.meter) >> 64);
    }

    function includedUnits(PackedTerms calldata t) internal pure returns (uint32) {
        return uint32(uint256(t.meter) >> 32);
    }

    function stepUnits(PackedTerms calldata t) internal pure returns (uint32) {
        return uint32(uint256(t.meter));
    }

    function maxUnits(PackedTerms calldata t) internal pure returns (uint32) {
        return uint32(uint256(t.token) >> 64);
    }

    function openBefore(PackedTerms calldata t) internal pure returns (uint40) {
        return uint40(uint256(t.token) >> 24);
    }

    function closeGrace(PackedTerms calldata t) internal pure returns (uint24) {
        return uint24(uint256(t.token));
    }

    function salt(PackedTerms calldata t) internal pure returns (uint96) {
        return uint96(uint256(t.share));
    }

    // ------------------------------------------------------------------ what they give

    /// @notice EIP-712 hashStruct of the readable terms.
    /// @dev abi.encode of the unpacked parts, spelled out: every settlement does this, and it costs a third this way.
    function hash(PackedTerms calldata t) internal pure returns (bytes32 result) {
        (bytes32 tariffType, bytes32 termsType) = (TARIFF_TYPEHASH, TERMS_TYPEHASH);
        assembly ("memory-safe") {
            let client := calldataload(t)
            let payer := calldataload(add(t, 0x20))
            let advisor := calldataload(add(t, 0x40))
            let meter := calldataload(add(t, 0x60))
            let token := calldataload(add(t, 0x80))
            let share := calldataload(add(t, 0xa0))
            let free := mload(0x40) // scratch beyond it is not kept

            mstore(free, tariffType)
            mstore(add(free, 0x20), shr(176, shl(160, client))) // connectFee
            mstore(add(free, 0x40), shr(176, shl(160, payer))) // unitPrice
            mstore(add(free, 0x60), shr(224, shl(160, meter))) // unitSeconds
            mstore(add(free, 0x80), shr(224, shl(192, meter))) // includedUnits
            mstore(add(free, 0xa0), and(meter, 0xffffffff)) // stepUnits
            mstore(add(free, 0xc0), shr(176, shl(160, advisor))) // stepPrice
            mstore(add(free, 0xe0), shr(224, shl(160, token))) // maxUnits
            let tariff := keccak256(free, 0x100)

            mstore(free, termsType)
            mstore(add(free, 0x20), shr(96, client))
            if iszero(shr(96, payer)) { payer := client }
            mstore(add(free, 0x40), shr(96, payer))
            mstore(add(free, 0x60), shr(96, advisor))
            mstore(add(free, 0x80), shr(96, meter)) // meterKey
            mstore(add(free, 0xa0), shr(96, token))
            mstore(add(free, 0xc0), tariff)
            mstore(add(free, 0xe0), and(client, 0xffff)) // feeBps
            mstore(add(free, 0x100), shr(96, share)) // feeRecipient
            mstore(add(free, 0x120), shr(216, shl(192, token))) // openBefore
            mstore(add(free, 0x140), and(token, 0xffffff)) // closeGrace
            mstore(add(free, 0x160), calldataload(add(t, 0xc0))) // context
            mstore(add(free, 0x180), shr(160, shl(160, share))) // salt
            result := keccak256(free, 0x1a0)
        }
    }

    /// @notice The fee for `units`, before the deposit limits it. Never reverts: 2^80 * 2^32 is far from overflowing.
    function fee(PackedTerms calldata t, uint32 units) internal pure returns (uint256) {
        if (units == 0) return 0;
        unchecked {
            uint256 used = units;
            uint256 cap = maxUnits(t);
            if (cap != 0 && used > cap) used = cap;
            uint256 step = stepUnits(t);
            uint256 beforeStep = step != 0 && used > step ? step : used;
            uint256 included = includedUnits(t);
            uint256 paid = beforeStep > included ? beforeStep - included : 0;
            return connectFee(t) + unitPrice(t) * paid + stepPrice(t) * (used - beforeStep);
        }
    }

    /// @notice The smallest deposit that opens a session: the connect fee and the first unit that costs something.
    /// Zero: nothing ever costs anything.
    function smallestDeposit(PackedTerms calldata t) internal pure returns (uint256) {
        uint256 included = includedUnits(t);
        uint256 step = stepUnits(t);
        uint256 cap = maxUnits(t);
        if (cap == 0) cap = type(uint32).max;
        uint256 first = unitPrice(t);
        if (first == 0 || included >= cap) first = step != 0 && step < cap ? stepPrice(t) : 0;
        unchecked {
            return connectFee(t) + first;
        }
    }

    /// @notice Why nobody can open these terms in `escrow` at `time` with this deposit; empty if they make sense.
    function refusal(PackedTerms calldata t, uint256 deposit, address escrow, uint256 time)
        internal
        pure
        returns (bytes memory why)
    {
        unchecked {
            uint256 included = includedUnits(t);
            uint256 step = stepUnits(t);
            if (step == 0) {
                if (stepPrice(t) != 0) {
                    return abi.encodeWithSelector(IErrors.StepPriceWithoutStep.selector, stepPrice(t));
                }
            } else if (step <= included) {
                return abi.encodeWithSelector(IErrors.StepInsideFreeUnits.selector, step, included);
            }
            if (unitSeconds(t) > LONGEST_UNIT) {
                return abi.encodeWithSelector(IErrors.UnitTooLong.selector, unitSeconds(t), LONGEST_UNIT);
            }
            uint256 bps = feeBps(t);
            if (bps != 0) {
                if (bps > WHOLE_SHARE) return abi.encodeWithSelector(IErrors.ShareTooHigh.selector, bps, WHOLE_SHARE);
                if (feeRecipient(t) == address(0)) {
                    return abi.encodeWithSelector(IErrors.ShareWithoutRecipient.selector, bps);
                }
            }
            uint256 grace = closeGrace(t);
            if (grace < SHORTEST_GRACE || grace > LONGEST_GRACE) {
                return abi.encodeWithSelector(IErrors.GraceOutOfRange.selector, grace, SHORTEST_GRACE, LONGEST_GRACE);
            }
            uint256 before = openBefore(t);
            if (before <= time) return abi.encodeWithSelector(IErrors.QuoteExpired.selector, before, time);
            if (before > time + LONGEST_QUOTE) {
                return abi.encodeWithSelector(IErrors.QuoteTooFarAhead.selector, before, time + LONGEST_QUOTE);
            }
            if (uint16(uint256(t.payer | t.advisor)) != 0) {
                return abi.encodeWithSelector(IErrors.TermsNotCanonical.selector, t.payer, t.advisor);
            }
            uint256 needed = smallestDeposit(t);
            if (needed == 0) {
                uint256 cap = maxUnits(t);
                if (cap == 0 || cap > included) return abi.encodeWithSelector(IErrors.NothingToPay.selector);
                return abi.encodeWithSelector(IErrors.CapWithinFreeUnits.selector, cap, included);
            }
            if (deposit < needed) return abi.encodeWithSelector(IErrors.DepositTooSmall.selector, needed, deposit);
        }
        return _partyRefusal(t, escrow);
    }

    function _partyRefusal(PackedTerms calldata t, address escrow) private pure returns (bytes memory why) {
        (address client, address payer) = (clientOf(t), address(bytes20(t.payer))); // zero: the client
        (address advisor, address key) = (advisorOf(t), meterKey(t));
        if (client == advisor || client == address(0) || client == escrow) return _invalid(Party.Client, client);
        if (payer == client) return abi.encodeWithSelector(IErrors.TermsNotCanonical.selector, t.payer, t.advisor);
        if (payer == escrow) return _invalid(Party.Payer, payer);
        if (advisor == address(0) || advisor == escrow) return _invalid(Party.Advisor, advisor);
        if (key == advisor || key == address(0) || key == escrow) return _invalid(Party.MeterKey, key);
        if (tokenOf(t) == escrow) return _invalid(Party.Token, escrow);
        if (feeRecipient(t) == escrow) return _invalid(Party.FeeRecipient, escrow);
    }

    function _invalid(Party party, address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.InvalidParty.selector, party, account);
    }
}
