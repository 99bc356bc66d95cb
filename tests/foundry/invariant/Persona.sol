// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @dev How a contract account behaves when it is asked for a signature, or given coin.
enum Mood {
    Fine,
    Refuses, // signatures; takes coin
    Reverts,
    BurnsGas,
    Bombs, // answers 30,000 bytes
    Greedy // takes coin, but needs more gas for it than a pushed refund carries
}

/// @dev When a persona calls back: before tokens leave it, after tokens arrived, or when coin arrives.
enum Trigger {
    Never,
    Sending,
    Receiving,
    Coin
}

/// @dev A contract account with a key's owner (ERC-1271), with moods, and with the hooks of `HookToken`; it can be told
/// to call somebody once, in the middle of a payment.
contract Persona {
    /// @dev Around a call back, with the hash of what it answered or failed with. What lies between `Began` and an
    /// `Ended` that says false never came to be.
    event Began();
    event Ended(bool done, bytes32 answer);

    uint256 private constant KEPT = 8_000; // gas for what comes after a call back

    address public immutable OWNER;
    Mood public mood;

    Trigger private _trigger;
    bool private _insist; // fail with the call back
    address private _target;
    uint256 private _value;
    bytes private _call;

    constructor(address owner) {
        OWNER = owner;
    }

    function become(Mood mood_) external {
        mood = mood_;
    }

    function arm(Trigger trigger, address target, uint256 value, bytes calldata call_, bool insist) external {
        (_trigger, _insist, _target, _value, _call) = (trigger, insist, target, value, call_);
    }

    function disarm() external {
        _trigger = Trigger.Never;
    }

    function tokensToSend(uint256) external {
        _callBack(Trigger.Sending);
    }

    function tokensReceived(uint256) external {
        _callBack(Trigger.Receiving);
    }

    receive() external payable {
        if (mood == Mood.Reverts) revert("moody");
        if (mood == Mood.BurnsGas) _burn();
        if (mood == Mood.Bombs) {
            assembly {
                revert(0, 30000)
            }
        }
        if (mood == Mood.Greedy) {
            uint256 enough = gasleft() > 60_000 ? gasleft() - 60_000 : 0;
            while (gasleft() > enough) {}
        }
        _callBack(Trigger.Coin);
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (mood == Mood.Refuses) return bytes4(0xffffffff);
        if (mood == Mood.Reverts) revert("moody");
        if (mood == Mood.BurnsGas) _burn();
        if (mood == Mood.Bombs) {
            assembly {
                return(0, 30000)
            }
        }
        if (signature.length != 65) return bytes4(0xffffffff);
        (bytes32 r, bytes32 s) = (bytes32(signature), bytes32(signature[32:]));
        bool owned = ecrecover(digest, uint8(signature[64]), r, s) == OWNER;
        return owned ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    function _burn() private pure {
        assembly {
            invalid()
        }
    }

    function _callBack(Trigger now_) private {
        if (_trigger != now_) return;
        _trigger = Trigger.Never; // once
        (address target, uint256 value, bytes memory call_) = (_target, _value, _call);
        uint256 kept = value == 0 ? KEPT : KEPT + 9_000; // coin costs so much to send along
        if (gasleft() < 2 * kept) return;
        emit Began();
        (bool done, bytes memory answer) = target.call{value: value, gas: gasleft() - kept}(call_);
        emit Ended(done, keccak256(answer));
        if (_insist && !done) {
            assembly {
                revert(add(answer, 32), mload(answer))
            }
        }
    }
}
