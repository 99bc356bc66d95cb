// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Closing, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";

interface Mocks {
    function mockCall(address callee, bytes calldata data, bytes calldata answer) external;
}

/// @dev The second half of a key's signature, s, in the escrow as shipped: above half of the curve's order it is refused
/// whoever it recovers to, exactly half counts, and what is too short has none. For the library alone: Signatures.t.sol.
contract HalvesTest is Base {
    bytes32 private constant HALF = bytes32(ORDER / 2);
    bytes32 private constant R = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798; // on the curve

    function _openSession() private returns (Terms memory t, Closing memory c) {
        t = _interactions();
        _open(t, DEPOSIT);
        c = _closing(t, 1);
    }

    function test_ESC14_a_strangers_mirror_image_is_refused_too() external {
        (Terms memory t, Closing memory c) = _openSession();
        bytes32 highS;
        (c.advisorSignature, highS) = _signHigh(STRANGER_KEY, _digest(_closingHash(t, 1, c.deadline)));
        _refuses(t, c, abi.encodeWithSelector(IErrors.HighS.selector, highS));
    }

    /// @dev Nobody knows how to sign with this s on purpose: ecrecover's answer is put in its mouth.
    function test_ESC14_s_of_exactly_half_the_order_counts_if_it_recovers_to_the_signer_and_not_one_more() external {
        (Terms memory t, Closing memory c) = _openSession();
        bytes32 digest = _digest(_closingHash(t, 1, c.deadline));
        bytes32[2] memory both = [bytes32(uint256(HALF) + 1), HALF];
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 s = both[i];
            c.advisorSignature = abi.encodePacked(R, s, uint8(27));
            bytes memory high = abi.encodeWithSelector(IErrors.HighS.selector, s);
            address recovered = ecrecover(digest, 27, R, s);
            _refuses(t, c, i == 0 ? high : _wrong(ADVISOR, recovered));
            Mocks(address(CHEATS)).mockCall(address(1), abi.encode(digest, 27, R, s), abi.encode(ADVISOR));
            if (i == 0) _refuses(t, c, high);
        }
        escrow.closeFor(c);
        _equal(uint256(_session(t).status), uint256(Status.Closed), "status");
    }

    function test_ESC14_a_signature_too_short_for_s_is_refused_as_nobodys_whatever_its_bytes() external {
        (Terms memory t, Closing memory c) = _openSession();
        for (uint256 length = 1; length < 64; ++length) {
            c.advisorSignature = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                c.advisorSignature[i] = 0xff;
            }
            _refuses(t, c, _wrong(ADVISOR, address(0)));
        }
    }
}
