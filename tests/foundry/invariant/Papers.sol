// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {PackedTerms} from "../../../contracts/libraries/Terms.sol";
import {Cast} from "./Cast.sol";

/// @title The quotes that were drawn up, as they travel, and what stands in them
/// @dev The ghost has the readable terms. Each function here reads one word.
abstract contract Papers is Cast {
    struct Paper {
        bytes32 termsHash;
        PackedTerms terms;
    }

    mapping(bytes32 id => Paper) internal _papers;

    function _packedOf(bytes32 id) internal view returns (PackedTerms memory) {
        return _papers[id].terms;
    }

    function _termsHashOf(bytes32 id) internal view returns (bytes32) {
        return _papers[id].termsHash;
    }

    function _clientOf(bytes32 id) internal view returns (address) {
        return address(bytes20(_papers[id].terms.client));
    }

    function _payerOf(bytes32 id) internal view returns (address payer) {
        payer = address(bytes20(_papers[id].terms.payer));
        if (payer == address(0)) payer = _clientOf(id);
    }

    function _advisorOf(bytes32 id) internal view returns (address) {
        return address(bytes20(_papers[id].terms.advisor));
    }

    function _meterOf(bytes32 id) internal view returns (address) {
        return address(bytes20(_papers[id].terms.meter));
    }

    function _tokenOf(bytes32 id) internal view returns (address) {
        return address(bytes20(_papers[id].terms.token));
    }

    function _platformOf(bytes32 id) internal view returns (address) {
        return address(bytes20(_papers[id].terms.share));
    }

    function _connectFeeOf(bytes32 id) internal view returns (uint80) {
        return uint80(uint256(_papers[id].terms.client) >> 16);
    }

    function _unitPriceOf(bytes32 id) internal view returns (uint80) {
        return uint80(uint256(_papers[id].terms.payer) >> 16);
    }

    function _stepPriceOf(bytes32 id) internal view returns (uint80) {
        return uint80(uint256(_papers[id].terms.advisor) >> 16);
    }

    function _unitSecondsOf(bytes32 id) internal view returns (uint32) {
        return uint32(uint256(_papers[id].terms.meter) >> 64);
    }

    function _includedUnitsOf(bytes32 id) internal view returns (uint32) {
        return uint32(uint256(_papers[id].terms.meter) >> 32);
    }

    function _stepUnitsOf(bytes32 id) internal view returns (uint32) {
        return uint32(uint256(_papers[id].terms.meter));
    }

    function _maxUnitsOf(bytes32 id) internal view returns (uint32) {
        return uint32(uint256(_papers[id].terms.token) >> 64);
    }

    function _openBeforeOf(bytes32 id) internal view returns (uint40) {
        return uint40(uint256(_papers[id].terms.token) >> 24);
    }

    function _closeGraceOf(bytes32 id) internal view returns (uint24) {
        return uint24(uint256(_papers[id].terms.token));
    }
}
