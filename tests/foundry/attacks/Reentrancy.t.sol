// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {
    Closing,
    ISessionEscrow,
    Opening,
    Session,
    Settlement,
    Status
} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {HookUSD, Rogue, Watcher} from "../mocks/Hostile.sol";
import {Attack} from "./Attack.sol";

/// @dev Somebody else's contract that believes what the escrow says about a session.
contract Lender {
    ISessionEscrow private immutable ESCROW;

    constructor(ISessionEscrow escrow) payable {
        ESCROW = escrow;
    }

    function lend(bytes32 sessionId) external {
        require(ESCROW.session(sessionId).status == Status.Open, "not open");
        payable(msg.sender).transfer(1 wei);
    }
}

/// @dev Somebody is called in the middle of a payment and calls the contracts again: every function from every function
/// that calls out. The rogue is an account with a key and code, payer of most sessions here.
contract ReentrancyTest is Attack {
    uint256 private constant ROGUE_KEY = 0xBAD;
    uint256 private constant WAYS_IN = 6; // the first outer calls
    uint256 private constant PUSHES = 12; // the first that pushes with limited gas
    uint256 private constant OUTER = 21;
    uint256 private constant INNER = 29;
    uint256 private constant ALONE = 26; // the first inner calls work by themselves

    uint96 private constant RUNNING = 1;
    uint96 private constant RUNNING_TOO = 2;
    uint96 private constant GRACE_OVER = 3;
    uint96 private constant OVER = 4;
    uint96 private constant RATED = 5;
    uint96 private constant TO_ADVISE = 6; // the rogue is its advisor
    uint96 private constant IN_COIN = 7;
    uint96 private constant IN_COIN_GRACE_OVER = 8;
    uint96 private constant FRESH = 9; // not opened yet, like the next four
    uint96 private constant FRESH_OF_CLIENT = 10;
    uint96 private constant FRESH_FROM_BALANCE = 11;
    uint96 private constant FRESH_IN_BATCH = 12;
    uint96 private constant TO_REVOKE = 13;

    struct Sent {
        address by;
        address to;
        uint256 value;
        bytes data;
    }

    address private rogue;
    uint256 private begin;

    function setUp() public override {
        super.setUp();
        begin = time;
        HookUSD hooks = new HookUSD();
        token = hooks;
        rogue = CHEATS.addr(ROGUE_KEY);
        CHEATS.etch(rogue, address(new Rogue()).code);
        keys[rogue] = ROGUE_KEY;
        people.push(rogue);
        hooks.hook(rogue, true);
        address[4] memory rich = [rogue, CLIENT, SPONSOR, STRANGER];
        for (uint256 i = 0; i < 4; ++i) {
            _fund(rich[i]);
            CHEATS.prank(rich[i]);
            token.approve(address(jar), type(uint256).max);
            _stock(rich[i]);
            CHEATS.prank(rich[i]);
            escrow.deposit{value: 1 ether}(COIN, rich[i], 1 ether);
        }
        for (uint96 salt = RUNNING; salt <= TO_REVOKE; ++salt) {
            _watch(_life(salt));
            if (salt < FRESH) _open(_life(salt), DEPOSIT);
        }
        _leave(_life(GRACE_OVER));
        _leave(_life(IN_COIN_GRACE_OVER));
        _close(_life(OVER), 1);
        _close(_life(RATED), 1);
        _works(RELAYER, address(escrow), _ratingCall(_life(RATED), 5));
        _later(1 hours);
    }

    function _life(uint96 salt) private view returns (Terms memory t) {
        t = _interactions();
        (t.payer, t.salt, t.openBefore) = (rogue, salt, uint40(begin + 1 days));
        if (salt == TO_ADVISE) (t.advisor, t.payer) = (rogue, SPONSOR);
        if (salt == IN_COIN || salt == IN_COIN_GRACE_OVER) t.token = COIN;
        if (salt == FRESH_OF_CLIENT) t.payer = CLIENT;
    }

    // ------------------------------------------------------------------ the matrix

    /// @dev Wants money counted twice, paid twice, or paid while it is not there yet, by calling anything from
    /// anywhere. Whatever is called inside whatever: the books are right to the last unit afterwards, a bystander has
    /// what they had, and no way in works inside another. Known from: ERC-777 hooks.
    function test_nothing_called_from_anywhere_makes_the_books_wrong() external {
        uint256 both;
        for (uint256 i = 0; i < OUTER; ++i) {
            uint256 outerDone;
            for (uint256 j = 0; j < INNER; ++j) {
                (bool outer, bool inner) = _cell(i, j);
                if (outer) ++outerDone;
                if (outer && inner) ++both;
            }
            require(outerDone > 0, "an outer call that never works");
        }
        require(both > OUTER * INNER / 3, "too few calls worked inside others");
    }

    /// @dev So that the matrix means something: each of the inner calls works when the rogue sends it alone.
    function test_what_the_rogue_tries_inside_works_outside() external {
        for (uint256 j = 0; j < ALONE; ++j) {
            Sent memory s = _inner(j);
            uint256 before = MORE_CHEATS.snapshotState();
            CHEATS.prank(rogue);
            (bool done,) = s.to.call{value: s.value}(s.data);
            require(done, "refused");
            MORE_CHEATS.revertToState(before);
        }
    }

    function _cell(uint256 i, uint256 j) private returns (bool outer, bool inner) {
        try this.nest(i, j) {}
        catch (bytes memory answer) {
            if (answer.length != 64) {
                assembly ("memory-safe") {
                    revert(add(answer, 32), mload(answer))
                }
            }
            (outer, inner) = abi.decode(answer, (bool, bool));
        }
    }

    /// @dev Undoes itself by reverting with whether the two worked.
    function nest(uint256 i, uint256 j) external {
        Sent memory inner = _inner(j);
        Sent memory outer = _outer(i);
        Rogue(payable(rogue)).plan(inner.to, inner.value, inner.data);
        CHEATS.prank(outer.by);
        (bool outerDone,) = outer.to.call{value: outer.value}(outer.data);
        Rogue.State state = Rogue(payable(rogue)).state();
        bool innerDone = state == Rogue.State.Worked;
        // A push that the call inside took too much gas for has failed, and left no trace but the credit.
        if (outerDone && i < PUSHES) require(state > Rogue.State.Ready, "the rogue was not called");
        if (outerDone && i < WAYS_IN && _isWayIn(j)) {
            require(!innerDone, "a way in inside another");
            bool twice = j == 3 && (i == 2 || i == 3); // the same session, which is written already
            bytes4 expected = twice ? IErrors.SessionExists.selector : IErrors.Reentered.selector;
            _equal(bytes32(Rogue(payable(rogue)).why()), bytes32(expected), "refused for another reason");
        }
        _booksAreRight(address(token), 0);
        _booksAreRight(COIN, 0);
        _equal(escrow.balanceOf(address(token), STRANGER), 10_000e6, "a bystander's tokens");
        _equal(escrow.balanceOf(COIN, STRANGER), 1 ether, "a bystander's coin");
        _equal(token.balanceOf(address(jar)) + address(jar).balance, 0, "kept by the jar");
        bytes memory answer = abi.encode(outerDone, innerDone);
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }

    /// @dev Ways in that count what arrives. Coin comes as value and needs no counting.
    function _isWayIn(uint256 j) private pure returns (bool) {
        return j == 0 || j == 2 || j == 3 || j == 4 || j == 8 || j == 9;
    }

    // ------------------------------------------------------------------ looking from inside

    /// @dev Wants others to act on what the escrow says in the middle of a payment in: the session stands open, and its
    /// money is not there yet; a deposit is not credited yet. If the money does not come, none of it has happened.
    function test_in_the_middle_of_a_payment_in_the_session_is_open_and_its_money_not_there() external {
        Watcher watcher = _watcher();
        uint256 held = _held(address(token));
        _watchSession(watcher);
        Session memory seen = abi.decode(watcher.answers(0), (Session));
        require(seen.status == Status.Open && seen.deposit == DEPOSIT, "written before it is paid");
        _equal(abi.decode(watcher.answers(1), (uint256)), held, "not there yet");
        _equal(_held(address(token)), held + DEPOSIT, "there now");

        bytes memory question = abi.encodeCall(escrow.balanceOf, (address(token), address(watcher)));
        watcher.ask(address(escrow), question, address(escrow), question);
        watcher.execute(address(escrow), abi.encodeCall(escrow.deposit, (address(token), address(watcher), 70)));
        _equal(abi.decode(watcher.answers(0), (uint256)), 0, "not credited yet");
    }

    /// @dev Wants to see a payment out half done. It is not: before anybody is called, all is written.
    function test_in_the_middle_of_a_payment_out_all_is_written_already() external {
        Watcher watcher = _watcher();
        Terms memory t = _watchSession(watcher);
        uint256 held = _held(address(token));
        escrow.closeFor(_closing(t, 1));
        Session memory seen = abi.decode(watcher.answers(0), (Session));
        require(seen.status == Status.Closed && seen.earned == 1_500_000, "closed before the refund");
        _equal(abi.decode(watcher.answers(1), (uint256)), held - (DEPOSIT - 1_500_000), "gone");

        watcher.execute(address(escrow), abi.encodeCall(escrow.deposit, (address(token), address(watcher), 70)));
        bytes memory question = abi.encodeCall(escrow.balanceOf, (address(token), address(watcher)));
        watcher.ask(address(escrow), question, address(escrow), question);
        watcher.execute(address(escrow), abi.encodeCall(escrow.withdraw, (address(token), 70, address(watcher))));
        _equal(abi.decode(watcher.answers(0), (uint256)), 0, "debited before it is paid");
    }

    /// @dev Wants a loan on a session that is never paid: asks for it in the middle of the opening, and then has no
    /// money. The opening fails and takes the loan back with it.
    function test_what_somebody_gave_for_a_session_that_was_not_paid_is_taken_back_with_it() external {
        Lender lender = new Lender{value: 1 wei}(escrow);
        Terms memory t = _life(FRESH);
        Rogue(payable(rogue)).plan(address(lender), 0, abi.encodeCall(Lender.lend, (_idOf(t))));
        (bytes memory quote, bytes memory consent) = (_signBy(ADVISOR, _hashOf(t)), _signBy(CLIENT, _hashOf(t)));
        bytes memory open = abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, quote, consent));
        uint256 paying = MORE_CHEATS.snapshotState();
        _works(rogue, address(escrow), open);
        require(Rogue(payable(rogue)).state() == Rogue.State.Worked, "lends in the middle");
        MORE_CHEATS.revertToState(paying);
        HookUSD(address(token)).hook(rogue, false);
        _works(rogue, address(token), abi.encodeCall(token.transfer, (SPONSOR, token.balanceOf(rogue))));
        HookUSD(address(token)).hook(rogue, true);
        _fails(rogue, address(escrow), open, IErrors.TokenCallFailed.selector);
        _equal(address(lender).balance, 1, "the lender's coin");
    }

    /// @dev Opens a session that the watcher pays, who sees it and the escrow's money in the middle.
    function _watchSession(Watcher watcher) private returns (Terms memory t) {
        t = _interactions();
        (t.payer, t.salt) = (address(watcher), 100);
        bytes memory first = abi.encodeCall(escrow.session, (_idOf(t)));
        watcher.ask(address(escrow), first, address(token), abi.encodeCall(token.balanceOf, (address(escrow))));
        (bytes memory quote, bytes memory consent) = (_signBy(ADVISOR, _hashOf(t)), _signBy(CLIENT, _hashOf(t)));
        watcher.execute(address(escrow), abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, quote, consent)));
    }

    function _watcher() private returns (Watcher watcher) {
        watcher = new Watcher();
        token.mint(address(watcher), 1_000e6);
        HookUSD(address(token)).hook(address(watcher), true);
        watcher.execute(address(token), abi.encodeCall(token.approve, (address(escrow), type(uint256).max)));
    }

    // ------------------------------------------------------------------ calls that call out

    function _outer(uint256 i) private view returns (Sent memory s) {
        (s.by, s.to) = (RELAYER, address(escrow));
        Terms memory fresh = _life(FRESH);
        Terms memory running = _life(RUNNING);
        (bytes memory quote, bytes memory consent) = (_signBy(ADVISOR, _hashOf(fresh)), _signBy(CLIENT, _hashOf(fresh)));
        if (i == 0) (s.by, s.data) = (rogue, abi.encodeCall(escrow.deposit, (address(token), rogue, 70)));
        if (i == 1) s.data = _depositCall(ROGUE_KEY, 70);
        if (i == 2) (s.by, s.data) = (rogue, abi.encodeCall(escrow.open, (_pack(fresh), DEPOSIT, quote, consent)));
        if (i == 3) {
            Authorization memory a = _authorize(ROGUE_KEY, address(escrow), DEPOSIT, _idOf(fresh));
            s.data = abi.encodeCall(escrow.openWithAuthorization, (_pack(fresh), DEPOSIT, a, quote, consent));
        }
        if (i == 4) (s.by, s.data) = (rogue, abi.encodeCall(escrow.topUp, (_pack(running), DEPOSIT + 70)));
        if (i == 5) s.data = _topUpByAuthorization(running, DEPOSIT + 70);
        if (i >= 6 && i <= 9) return _outerTip(i);
        if (i == 10) (s.by, s.data) = (rogue, abi.encodeCall(escrow.withdraw, (address(token), 70, rogue)));
        if (i == 11) s.data = _withdrawalCall(CLIENT, address(token), rogue);
        if (i == 12) (s.by, s.data) = (ADVISOR, abi.encodeCall(escrow.close, (_settlement(running, 3))));
        if (i == 13) s.data = abi.encodeCall(escrow.closeFor, (_closing(running, 3)));
        if (i == 14) s.data = _closeBoth();
        if (i == 15) s.data = abi.encodeCall(escrow.finalize, (_pack(_life(GRACE_OVER))));
        if (i == 16) (s.by, s.data) = (rogue, abi.encodeCall(escrow.withdraw, (COIN, 70, rogue)));
        if (i == 17) s.data = _withdrawalCall(CLIENT, COIN, rogue);
        if (i == 18) s.data = abi.encodeCall(escrow.closeFor, (_closing(_life(IN_COIN), 3)));
        if (i == 19) s.data = abi.encodeCall(escrow.finalize, (_pack(_life(IN_COIN_GRACE_OVER))));
        if (i == 20) {
            (s.by, s.to, s.value) = (CLIENT, address(jar), 70);
            s.data = abi.encodeCall(jar.tip, (rogue, "", COIN, 70, ""));
        }
    }

    function _outerTip(uint256 i) private view returns (Sent memory s) {
        (s.by, s.to) = (RELAYER, address(jar));
        if (i == 6) (s.by, s.data) = (rogue, abi.encodeCall(jar.tip, (ADVISOR, "", address(token), 70, "")));
        if (i == 7) s.data = _tipCall(ROGUE_KEY, ADVISOR);
        if (i == 8) (s.by, s.data) = (CLIENT, abi.encodeCall(jar.tip, (rogue, "", address(token), 70, "")));
        if (i == 9) s.data = _tipCall(CLIENT_KEY, rogue);
    }

    // ------------------------------------------------------------------ calls from inside

    function _inner(uint256 j) private view returns (Sent memory s) {
        s.to = address(escrow);
        Terms memory t = _life(RUNNING);
        if (j == 0) s.data = abi.encodeCall(escrow.deposit, (address(token), rogue, 70));
        if (j == 1) (s.value, s.data) = (70, abi.encodeCall(escrow.deposit, (COIN, rogue, 70)));
        if (j == 2) s.data = _depositCall(CLIENT_KEY, 70);
        if (j >= 3 && j <= 7) s.data = _innerOpening(j);
        if (j == 8) s.data = abi.encodeCall(escrow.topUp, (_pack(t), DEPOSIT + 170));
        if (j == 9) s.data = _topUpByAuthorization(t, DEPOSIT + 170);
        if (j == 10) s.data = abi.encodeCall(escrow.topUpFromBalance, (_pack(t), DEPOSIT + 170, ""));
        if (j >= 11 && j <= 17) s.data = _innerEnding(j);
        if (j == 18) s.data = _ratingCall(_life(OVER), 4);
        if (j == 19) s.data = _answerCall(_life(RATED));
        if (j == 20) s.data = abi.encodeCall(escrow.withdraw, (address(token), 70, rogue));
        if (j == 21) s.data = abi.encodeCall(escrow.withdraw, (COIN, 70, rogue));
        if (j == 22) s.data = _withdrawalCall(CLIENT, address(token), CLIENT);
        if (j == 23) (s.to, s.data) = (address(jar), abi.encodeCall(jar.tip, (ADVISOR, "", address(token), 70, "")));
        if (j == 24) {
            (s.to, s.value) = (address(jar), 70);
            s.data = abi.encodeCall(jar.tip, (ADVISOR, "", COIN, 70, ""));
        }
        if (j == 25) (s.to, s.data) = (address(jar), _tipCall(CLIENT_KEY, ADVISOR));
        // The session that is just being opened, if it is:
        if (j == 26) s.data = abi.encodeCall(escrow.settle, (_settlement(_life(FRESH), 2)));
        if (j == 27) s.data = abi.encodeCall(escrow.closeFor, (_closing(_life(FRESH), 2)));
        if (j == 28) s.data = abi.encodeCall(escrow.requestClose, (_pack(_life(FRESH)), rogue, ""));
    }

    function _innerOpening(uint256 j) private view returns (bytes memory) {
        if (j == 3) {
            Terms memory fresh = _life(FRESH);
            bytes memory quote = _signBy(ADVISOR, _hashOf(fresh));
            bytes memory consent = _signBy(CLIENT, _hashOf(fresh));
            return abi.encodeCall(escrow.open, (_pack(fresh), DEPOSIT, quote, consent));
        }
        if (j == 4) {
            Terms memory theirs = _life(FRESH_OF_CLIENT);
            Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(theirs));
            bytes memory quote = _signBy(ADVISOR, _hashOf(theirs));
            return abi.encodeCall(escrow.openWithAuthorization, (_pack(theirs), DEPOSIT, a, quote, ""));
        }
        if (j == 5) return abi.encodeCall(escrow.openFromBalance, (_opening(_life(FRESH_FROM_BALANCE), DEPOSIT)));
        if (j == 6) {
            Opening[] memory rows = new Opening[](1);
            rows[0] = _opening(_life(FRESH_IN_BATCH), DEPOSIT);
            return abi.encodeCall(escrow.openBatch, (rows));
        }
        return abi.encodeCall(escrow.revoke, (_pack(_life(TO_REVOKE)), rogue, ""));
    }

    function _innerEnding(uint256 j) private view returns (bytes memory) {
        Terms memory t = _life(RUNNING);
        if (j == 11) return abi.encodeCall(escrow.settle, (_settlement(t, 2)));
        if (j == 12) {
            Settlement[] memory rows = new Settlement[](1);
            rows[0] = _settlement(t, 2);
            return abi.encodeCall(escrow.settleBatch, (rows));
        }
        if (j == 13) return abi.encodeCall(escrow.close, (_settlement(_life(TO_ADVISE), 2)));
        if (j == 14) return abi.encodeCall(escrow.closeFor, (_closing(t, 2)));
        if (j == 15) return _closeBoth();
        if (j == 16) return abi.encodeCall(escrow.requestClose, (_pack(t), rogue, ""));
        return abi.encodeCall(escrow.finalize, (_pack(_life(GRACE_OVER))));
    }

    // ------------------------------------------------------------------ calldata

    function _closeBoth() private view returns (bytes memory) {
        Closing[] memory rows = new Closing[](2);
        (rows[0], rows[1]) = (_closing(_life(RUNNING), 3), _closing(_life(RUNNING_TOO), 3));
        return abi.encodeCall(escrow.closeBatch, (rows));
    }

    function _depositCall(uint256 key, uint256 amount) private view returns (bytes memory) {
        address account = CHEATS.addr(key);
        bytes32 nonce = keccak256(abi.encode(keccak256("Deposit"), address(token), account, bytes32(0)));
        Authorization memory a = _authorize(key, address(escrow), amount, nonce);
        return abi.encodeCall(escrow.depositWithAuthorization, (address(token), account, amount, 0, a));
    }

    function _topUpByAuthorization(Terms memory t, uint80 newDeposit) private view returns (bytes memory) {
        bytes32 nonce = keccak256(abi.encode(_idOf(t), newDeposit));
        Authorization memory a = _authorize(ROGUE_KEY, address(escrow), newDeposit - DEPOSIT, nonce);
        return abi.encodeCall(escrow.topUpWithAuthorization, (_pack(t), newDeposit, a));
    }

    function _tipCall(uint256 key, address advisor) private view returns (bytes memory) {
        bytes32 nonce =
            keccak256(abi.encode(keccak256("Tip"), address(token), advisor, bytes32(0), bytes32(0), bytes32(0)));
        Authorization memory a = _authorize(key, address(jar), 70, nonce);
        return abi.encodeCall(jar.tipWithAuthorization, (CHEATS.addr(key), advisor, 0, address(token), 70, 0, 0, a));
    }

    function _withdrawalCall(address account, address of_, address to) private view returns (bytes memory) {
        bytes32 message = keccak256(abi.encode(_type(WITHDRAWAL_TYPE), account, of_, uint256(70), to, uint256(0), time));
        return abi.encodeCall(escrow.withdrawFor, (account, of_, 70, to, 0, time, _signBy(account, message)));
    }
}
