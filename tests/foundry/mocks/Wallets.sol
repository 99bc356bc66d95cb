// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @dev A wallet that accepts exactly one digest, whatever the signature is (ERC-1271).
contract OneDigestWallet {
    bytes32 public accepted;

    function accept(bytes32 digest) external {
        accepted = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == accepted ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @dev A wallet that accepts everything, in so many bytes of the word that an answer has (ERC-1271).
contract CurtWallet {
    uint256 private immutable LENGTH;

    constructor(uint256 length) {
        LENGTH = length;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        (bytes4 yes, uint256 size) = (this.isValidSignature.selector, LENGTH);
        assembly {
            mstore(0, yes)
            return(0, size)
        }
    }
}

/// @dev A wallet whose owner signs for it (ERC-1271), and which can be told to misbehave when it is asked.
contract OwnedWallet {
    enum Mood {
        Fine,
        Refuses,
        Reverts,
        BurnsGas,
        Bombs,
        AnswersShort,
        Slow
    }

    address public immutable OWNER;
    Mood public mood;

    constructor(address owner) {
        OWNER = owner;
    }

    function become(Mood mood_) external {
        mood = mood_;
    }

    receive() external payable {}

    /// @dev Whatever the owner wants done.
    function execute(address to, uint256 value, bytes calldata data) external returns (bytes memory) {
        (bool done, bytes memory answer) = to.call{value: value}(data);
        require(done, "call failed");
        return answer;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (mood == Mood.Refuses) return bytes4(0xffffffff);
        if (mood == Mood.Reverts) revert("moody");
        if (mood == Mood.BurnsGas) {
            assembly {
                invalid()
            }
        }
        if (mood == Mood.Bombs) {
            assembly {
                return(0, 30000)
            }
        }
        bytes4 yes = this.isValidSignature.selector;
        if (mood == Mood.AnswersShort) {
            assembly {
                mstore(0, yes)
                return(0, 4)
            }
        }
        if (mood == Mood.Slow) {
            uint256 enough = gasleft() - 388_000; // of the 400,000 that a check may use
            while (gasleft() > enough) {}
        }
        (address recovered,,) = ECDSA.tryRecover(digest, signature[:65]);
        return recovered == OWNER ? yes : bytes4(0);
    }
}

/// @dev A recipient of coin that can be told to misbehave, or to call somebody back.
contract MoodyRecipient {
    enum Mood {
        Fine,
        Reverts,
        BurnsGas,
        Bombs,
        Slow,
        CallsBack
    }

    Mood public mood;
    address public target;
    bytes public call;
    bytes public answer; // what the call back gave

    function become(Mood mood_) external {
        mood = mood_;
    }

    function callBack(address target_, bytes calldata call_) external {
        mood = Mood.CallsBack;
        target = target_;
        call = call_;
    }

    function execute(address to, uint256 value, bytes calldata data) external payable {
        (bool done, bytes memory why) = to.call{value: value}(data);
        if (done) return;
        assembly {
            revert(add(why, 32), mload(why))
        }
    }

    receive() external payable {
        if (mood == Mood.Reverts) revert("moody");
        if (mood == Mood.BurnsGas) {
            assembly {
                invalid()
            }
        }
        if (mood == Mood.Bombs) {
            assembly {
                revert(0, 30000)
            }
        }
        if (mood == Mood.Slow) {
            uint256 enough = gasleft() - 40_000;
            while (gasleft() > enough) {}
        }
        if (mood == Mood.CallsBack) {
            (bool done, bytes memory why) = target.call(call);
            if (!done) {
                assembly {
                    revert(add(why, 32), mload(why))
                }
            }
        }
    }
}

/// @dev Uses 300,000 gas, whatever it is asked.
contract Busy {
    fallback() external {
        uint256 enough = gasleft() - 300_000;
        while (gasleft() > enough) {}
    }
}

/// @dev The hooks of `HookToken`: calls somebody before its tokens leave, or after tokens arrived.
contract HookedAccount {
    address public target;
    bytes public call;
    bytes public answer; // what the last call back answered or failed with
    bool public done;
    bool public insist; // fail with the call back

    function onSend(address target_, bytes calldata call_, bool insist_) external {
        (target, call, insist) = (target_, call_, insist_);
    }

    function execute(address to, bytes calldata data) external returns (bytes memory) {
        (bool done_, bytes memory why) = to.call(data);
        if (done_) return why;
        assembly {
            revert(add(why, 32), mload(why))
        }
    }

    function tokensToSend(uint256) external {
        _callBack();
    }

    function tokensReceived(uint256) external {
        _callBack();
    }

    function _callBack() private {
        if (target == address(0)) return;
        address now_ = target;
        target = address(0); // once
        (done, answer) = now_.call(call);
        if (insist && !done) {
            bytes memory why = answer;
            assembly {
                revert(add(why, 32), mload(why))
            }
        }
    }
}
