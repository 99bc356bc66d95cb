// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {TestUSD} from "../../../contracts/TestUSD.sol";

/// @dev A plain token, of which the others here are variations.
contract PlainToken {
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external virtual returns (bool) {
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
        return true;
    }

    function _move(address from, address to, uint256 amount) internal virtual {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Keeps a hundredth of what it moves.
contract FeeToken is PlainToken {
    function _move(address from, address to, uint256 amount) internal override {
        balanceOf[from] -= amount;
        balanceOf[to] += amount - amount / 100;
    }
}

/// @dev Answers nothing, like the oldest tokens.
contract NoReturnToken {
    mapping(address account => uint256) public balanceOf;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Answers with the word it was told, or with more or fewer bytes than a word has, and moves nothing unless that
/// word is true.
contract AnsweringToken is PlainToken {
    uint256 public word = 1;
    uint256 public length = 32; // bytes

    function answerWith(uint256 word_) external {
        word = word_;
    }

    function answerIn(uint256 length_) external {
        length = length_;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        if (word == 1) _move(msg.sender, to, amount);
        return _answer();
    }

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        if (word == 1) _move(from, to, amount);
        return _answer();
    }

    function _answer() private view returns (bool) {
        (uint256 answer, uint256 size) = (word, length);
        assembly {
            mstore(0, answer)
            return(0, size)
        }
    }
}

/// @dev Has a balance of one for everybody, told in so many bytes, and says true to everything else.
contract OneAnswer {
    uint256 private immutable LENGTH;

    constructor(uint256 length) {
        LENGTH = length;
    }

    fallback() external {
        uint256 size = msg.sig == IERC20.balanceOf.selector ? LENGTH : 32;
        assembly {
            mstore(0, 1)
            return(0, size)
        }
    }
}

/// @dev Can be told to misbehave when it is moved out of an account: nothing at all, revert, burn all gas, answer a
/// megabyte, or use so much gas before it moves.
contract MoodyToken is PlainToken {
    enum Mood {
        Fine,
        Reverts,
        BurnsGas,
        Bombs,
        Slow
    }

    Mood public mood;

    function become(Mood mood_) external {
        mood = mood_;
    }

    function _move(address from, address to, uint256 amount) internal override {
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
        if (mood == Mood.Slow) {
            uint256 enough = gasleft() - 150_000;
            while (gasleft() > enough) {}
        }
        super._move(from, to, amount);
    }
}

/// @dev Refuses to move anything to or from the accounts on a list.
contract BlacklistToken is PlainToken {
    mapping(address account => bool) public blacklisted;

    function blacklist(address account, bool on) external {
        blacklisted[account] = on;
    }

    function _move(address from, address to, uint256 amount) internal override {
        require(!blacklisted[from] && !blacklisted[to], "blacklisted");
        super._move(from, to, amount);
    }
}

interface Hooks {
    function tokensToSend(uint256 amount) external;
    function tokensReceived(uint256 amount) external;
}

/// @dev Calls the sender before it moves and the recipient afterwards (like ERC-777), and takes the whole amount as a
/// fee when `feeOn` is set and the sender is not exempt.
contract HookToken is PlainToken {
    mapping(address account => bool) public hooked;
    mapping(address account => bool) public exempt;
    bool public feeOn;

    function hook(bool on) external {
        hooked[msg.sender] = on;
    }

    function setFee(bool on) external {
        feeOn = on;
    }

    function setExempt(address account) external {
        exempt[account] = true;
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (hooked[from]) Hooks(from).tokensToSend(amount);
        balanceOf[from] -= amount;
        if (!feeOn || exempt[from]) balanceOf[to] += amount;
        if (hooked[to]) Hooks(to).tokensReceived(amount);
    }
}

/// @dev Wrapped coin that swallows every call it does not know, like WETH9.
contract SwallowingToken is PlainToken {
    fallback() external payable {
        balanceOf[msg.sender] += msg.value;
    }

    receive() external payable {
        balanceOf[msg.sender] += msg.value;
    }
}

/// @dev A made-up token whose balances are what it says, and which pays in anybody's name without any signature.
contract MadeUpToken is PlainToken {
    bytes32 public DOMAIN_SEPARATOR = keccak256("made up");

    function pretend(bytes32 separator) external {
        DOMAIN_SEPARATOR = separator;
    }

    function set(address account, uint256 amount) external {
        balanceOf[account] = amount;
    }

    function receiveWithAuthorization(
        address,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32,
        uint8,
        bytes32,
        bytes32
    ) external {
        balanceOf[to] += value;
    }

    function receiveWithAuthorization(address, address to, uint256 value, uint256, uint256, bytes32, bytes calldata)
        external
    {
        balanceOf[to] += value;
    }

    function transferFrom(address, address to, uint256 amount) external override returns (bool) {
        unchecked {
            balanceOf[to] += amount;
        }
        return true;
    }
}

/// @dev Takes authorizations, and on the way out keeps a part, or refuses.
contract KeepingToken is MadeUpToken {
    uint256 public kept;
    bool public refusing;

    function keep(uint256 amount) external {
        kept = amount;
    }

    function refuse(bool on) external {
        refusing = on;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        if (refusing) return false;
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount - kept;
        return true;
    }
}

/// @dev Has EIP-3009, says that it has paid, and has not.
contract SilentAuthorizations is PlainToken {
    bytes32 public constant DOMAIN_SEPARATOR = keccak256("silent");

    function receiveWithAuthorization(address, address, uint256, uint256, uint256, bytes32, uint8, bytes32, bytes32)
        external {}
}
