// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {TestUSD} from "../../../contracts/TestUSD.sol";
import {PlainToken} from "./Tokens.sol";

/// @dev Made to run at an account that keeps its key (EIP-7702): makes one call when coin or tokens reach it, or tokens
/// are about to leave it. It is sparing: the call waits in a contract's code and the rest in one slot, so that as much
/// as possible can be done with the gas of a push.
contract Rogue {
    enum State {
        Idle,
        Ready,
        Failed,
        Worked
    }

    struct Slot {
        address call; // in whose code it waits
        State state;
        bytes4 why; // it failed
    }

    Slot private slot;

    function plan(address to, uint256 value, bytes calldata data) external {
        slot = Slot(address(new Waiting(abi.encodePacked(to, uint96(value), data))), State.Ready, 0);
    }

    function state() external view returns (State) {
        return slot.state;
    }

    function why() external view returns (bytes4) {
        return slot.why;
    }

    function tokensToSend(uint256) external {
        _act();
    }

    function tokensReceived(uint256) external {
        _act();
    }

    receive() external payable {
        _act();
    }

    function _act() private {
        Slot memory s = slot;
        if (s.state != State.Ready) return;
        slot.state = State.Failed;
        (bool worked, bytes32 answer) = _make(s.call.code);
        if (worked) slot.state = State.Worked;
        else slot.why = bytes4(answer);
    }

    /// @param what recipient, value and data, packed
    function _make(bytes memory what) private returns (bool worked, bytes32 answer) {
        assembly ("memory-safe") {
            let head := mload(add(what, 32))
            let value := and(head, 0xffffffffffffffffffffffff)
            worked := call(gas(), shr(96, head), value, add(what, 64), sub(mload(what), 32), 0, 32)
            if returndatasize() { answer := mload(0) }
        }
    }
}

/// @dev Its code is what it was given.
contract Waiting {
    constructor(bytes memory code) {
        assembly ("memory-safe") {
            return(add(code, 32), mload(code))
        }
    }
}

/// @dev Asks two questions when tokens reach it or are about to leave it, and keeps the answers.
contract Watcher {
    address[2] private asked;
    bytes[2] private questions;
    bytes[2] public answers;

    function ask(address first, bytes calldata firstQuestion, address second, bytes calldata secondQuestion) external {
        (asked, questions) = ([first, second], [firstQuestion, secondQuestion]);
    }

    function execute(address to, bytes calldata data) external {
        (bool done, bytes memory why) = to.call(data);
        if (done) return;
        assembly ("memory-safe") {
            revert(add(why, 32), mload(why))
        }
    }

    function tokensToSend(uint256) external {
        _look();
    }

    function tokensReceived(uint256) external {
        _look();
    }

    function _look() private {
        for (uint256 i = 0; i < 2; ++i) {
            (, answers[i]) = asked[i].staticcall(questions[i]);
        }
    }
}

interface RogueHooks {
    function tokensToSend(uint256 amount) external;
    function tokensReceived(uint256 amount) external;
}

/// @dev TestUSD, with its authorizations, that calls hooked senders before and hooked recipients after (like ERC-777).
contract HookUSD is TestUSD {
    mapping(address account => bool) public hooked;

    function hook(address account, bool on) external {
        hooked[account] = on;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (hooked[from]) RogueHooks(from).tokensToSend(amount);
        super._update(from, to, amount);
        if (hooked[to]) RogueHooks(to).tokensReceived(amount);
    }
}

/// @dev Charges the sender a hundredth on top of what the recipient gets.
contract ExtraFeeToken is PlainToken {
    function _move(address from, address to, uint256 amount) internal override {
        balanceOf[from] -= amount + amount / 100;
        balanceOf[to] += amount;
    }
}

/// @dev Its owner can change every balance, and whether a fee is kept, at any time.
contract RebasingToken is PlainToken {
    uint256 public hundredths;

    /// @dev Cuts, or raises, an account's balance by itself.
    function rebase(address account, uint256 newBalance) external {
        balanceOf[account] = newBalance;
    }

    function keepFee(uint256 hundredths_) external {
        hundredths = hundredths_;
    }

    function _move(address from, address to, uint256 amount) internal override {
        balanceOf[from] -= amount;
        balanceOf[to] += amount - amount * hundredths / 100;
    }
}

/// @dev Honest until it is upgraded: then it says that payments fail, and makes them; or says that they worked, and
/// does not make them.
contract TurncoatToken is PlainToken {
    enum Turn {
        Honest,
        PaysAndDenies,
        KeepsAndAffirms,
        BalancesRevert,
        BalancesBomb
    }

    Turn public turn;

    function become(Turn turn_) external {
        turn = turn_;
    }

    function transfer(address to, uint256 amount) external override returns (bool) {
        if (turn != Turn.KeepsAndAffirms) _move(msg.sender, to, amount);
        return turn != Turn.PaysAndDenies;
    }
}

/// @dev A token that answers one function with as many bytes as it was told; the first word is right.
contract BombToken {
    mapping(address account => uint256) private balances;
    bytes4 private bombed;
    uint256 private size; // bytes
    bytes32 private immutable DOMAIN = keccak256("bombs");

    function bomb(bytes4 selector, uint256 size_) external {
        (bombed, size) = (selector, size_);
    }

    function mint(address account, uint256 amount) external {
        balances[account] += amount;
    }

    function balanceOf(address account) external view returns (uint256) {
        _bomb(balances[account]);
        return balances[account];
    }

    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        _bomb(uint256(DOMAIN));
        return DOMAIN;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        (balances[msg.sender], balances[to]) = (balances[msg.sender] - amount, balances[to] + amount);
        _bomb(1);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        (balances[from], balances[to]) = (balances[from] - amount, balances[to] + amount);
        _bomb(1);
        return true;
    }

    function _bomb(uint256 firstWord) private view {
        if (msg.sig != bombed) return;
        uint256 bytes_ = size;
        assembly {
            mstore(0, firstWord)
            return(0, bytes_)
        }
    }
}

/// @dev Answers everything, a payment or a question, with as many bytes as it was told, or fails with them.
contract Bomber {
    uint256 private size = 32; // bytes
    bool private failing;

    function load(uint256 size_, bool failing_) external {
        (size, failing) = (size_, failing_);
    }

    function execute(address to, uint256 value, bytes calldata data) external {
        (bool done,) = to.call{value: value}(data);
        require(done, "call failed");
    }

    fallback() external payable {
        (uint256 bytes_, bool fails) = (size, failing);
        assembly {
            if fails { revert(0, bytes_) }
            return(0, bytes_)
        }
    }

    receive() external payable {
        (uint256 bytes_, bool fails) = (size, failing);
        assembly {
            if fails { revert(0, bytes_) }
            return(0, bytes_)
        }
    }
}

/// @dev Shows everybody's coin as its own balances, calls its sender, and moves nothing.
contract FaceOfCoin {
    function balanceOf(address account) external view returns (uint256) {
        return account.balance;
    }

    function transferFrom(address from, address, uint256 amount) external returns (bool) {
        RogueHooks(from).tokensToSend(amount);
        return true;
    }

    function transfer(address, uint256) external pure returns (bool) {
        return true;
    }
}

/// @dev Has EIP-3009 and forgot to ask whether its caller is the recipient.
contract LooseToken is PlainToken {
    bytes32 public constant DOMAIN_SEPARATOR = keccak256("loose");
    bytes32 private constant RECEIVE_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    mapping(bytes32 nonce => bool) private used;

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        require(!used[nonce], "used");
        used[nonce] = true;
        bytes32 message = keccak256(abi.encode(RECEIVE_TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        require(ecrecover(keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR, message)), v, r, s) == from, "signed");
        _move(from, to, value);
    }
}

/// @dev A second address of the same money.
contract TwinToken {
    PlainTwin public immutable LEDGER;

    constructor(PlainTwin ledger) {
        LEDGER = ledger;
    }

    function balanceOf(address account) external view returns (uint256) {
        return LEDGER.balanceOf(account);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return LEDGER.moveFor(msg.sender, msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        return LEDGER.moveFor(msg.sender, from, to, amount);
    }
}

/// @dev The money behind a `TwinToken`; hooked senders are called before it moves.
contract PlainTwin is PlainToken {
    mapping(address account => bool) public hooked;

    function hook(bool on) external {
        hooked[msg.sender] = on;
    }

    function moveFor(address spender, address from, address to, uint256 amount) external returns (bool) {
        if (spender != from) allowance[from][spender] -= amount;
        _move(from, to, amount);
        return true;
    }

    function _move(address from, address to, uint256 amount) internal override {
        if (hooked[from]) RogueHooks(from).tokensToSend(amount);
        super._move(from, to, amount);
    }
}

/// @dev Numbered pieces, of which one moves at a time, with the names that a token's functions have (ERC-721).
contract Pieces {
    mapping(uint256 number => address) public ownerOf;
    mapping(address account => uint256) public balanceOf;

    function mint(address account, uint256 number) external {
        ownerOf[number] = account;
        ++balanceOf[account];
    }

    function transferFrom(address from, address to, uint256 number) external {
        require(ownerOf[number] == from, "not theirs");
        ownerOf[number] = to;
        --balanceOf[from];
        ++balanceOf[to];
    }
}

/// @dev Tells balances, accepts every other call, and does nothing.
contract Gulper {
    mapping(address account => uint256) public balanceOf;

    fallback() external {}
}

/// @dev Moves money on transferFrom, knows no transfer, and swallows what it does not know.
contract OneWayToken {
    mapping(address account => uint256) public balanceOf;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        (balanceOf[from], balanceOf[to]) = (balanceOf[from] - amount, balanceOf[to] + amount);
        return true;
    }

    fallback() external {}
}

/// @dev A wallet that lets nobody in while it is at work, and calls out in the middle.
contract LockedWallet {
    bool private locked;

    function work(address to, bytes calldata data) external {
        locked = true;
        (bool done,) = to.call(data);
        require(done, "call failed");
        locked = false;
    }

    function execute(address to, uint256 value, bytes calldata data) external {
        (bool done,) = to.call{value: value}(data);
        require(done, "call failed");
    }

    receive() external payable {
        require(!locked, "at work");
    }
}
