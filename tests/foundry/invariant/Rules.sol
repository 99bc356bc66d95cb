// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ISessionEscrow, Session} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Asserts} from "../Base.sol";
import {PlainToken} from "../mocks/Tokens.sol";
import {Books} from "./Books.sol";
import {Ghost} from "./Ghost.sol";

import {Handler} from "./Handler.sol";

/// @title The rules that can be seen from outside at any time
/// @dev The others are asserted at the act; README.md says which and where.
abstract contract Rules is Asserts {
    ISessionEscrow private _escrow;
    Ghost private _ghost;
    Books private _books;
    Handler private _handler;
    address[] private _tokens;
    address[] private _accounts;
    bytes32 private _code;

    function _watch(Handler handler) internal {
        (_escrow, _ghost) = (handler.escrow(), handler.ghost());
        (_books, _handler) = (handler.books(), handler);
        (_tokens, _accounts) = (handler.tokens(), handler.accounts());
        _code = address(_escrow).codehash;
    }

    function _rules() internal view {
        _equal(address(_escrow).codehash, _code, "ESC-9: the code");
        for (uint256 i = 0; i < _tokens.length; ++i) {
            _ESC1_ESC15_the_money_is_there(_tokens[i]);
        }
        uint256 count = _ghost.count();
        uint256[] memory scores = new uint256[](_accounts.length);
        uint256[] memory sums = new uint256[](_accounts.length);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 id = _ghost.ids(i);
            Session memory s = _session(id);
            if (s.score == 0) continue;
            uint256 advisor = _indexOf(_ghost.advisorOf(id));
            (scores[advisor], sums[advisor]) = (scores[advisor] + 1, sums[advisor] + s.score);
        }
        for (uint256 i = 0; i < _accounts.length; ++i) {
            _ESC10_tallies_are_the_sums_of_scores(_accounts[i], scores[i], sums[i]);
            _equal(_escrow.nonces(_accounts[i]), _ghost.nonces(_accounts[i]), "ESC-14: a nonce");
        }
    }

    /// @dev What the escrow has is what it owes and the surplus. Each balance is what the ghost has, step by step, and
    /// what the books add up from the log in closed form.
    function _ESC1_ESC15_the_money_is_there(address token) private view {
        int256[] memory sums = _books.balances(token, _accounts);
        uint256 owed = _books.waiting(token);
        for (uint256 i = 0; i < _accounts.length; ++i) {
            uint256 balance = _escrow.balanceOf(token, _accounts[i]);
            _equal(balance, _ghost.balanceOf(token, _accounts[i]), "a balance, and the ghost's");
            _equal(balance, uint256(sums[i]), "ESC-15: a balance, and the books'");
            owed += balance;
        }
        address escrow = address(_escrow);
        uint256 holds = token == address(0) ? escrow.balance : PlainToken(token).balanceOf(escrow);
        _equal(holds, owed + _ghost.surplus(token), "ESC-1: what the escrow holds, and what it owes");
        _equal(
            holds, uint256(_books.held(token)) + _ghost.surplus(token), "ESC-1: what it holds, and what the log says"
        );
    }

    function _session(bytes32 id) private view returns (Session memory s) {
        bytes memory question = abi.encodeCall(_escrow.session, (id));
        (, bytes memory real) = address(_escrow).staticcall(question);
        (, bytes memory told) = address(_ghost).staticcall(question);
        _equal(real, told, "a session's slot, and the ghost's");
        (, told) = address(_books).staticcall(question);
        _equal(real, told, "a session's slot, and the books'");
        s = abi.decode(real, (Session));
        _ESC2_ESC5_earned_is_within_deposit_tariff_and_time(id, s);
        _ESC6_ESC12_what_is_over_stays_as_it_was(id, s);
    }

    function _ESC2_ESC5_earned_is_within_deposit_tariff_and_time(bytes32 id, Session memory s) private view {
        if (s.earned == 0) return;
        if (s.earned > s.deposit) revert Differs("ESC-2: earned, and the deposit", s.earned, s.deposit);
        uint256 units = _ghost.mostUnits(id);
        uint256 most = _ghost.feeOf(id, units > type(uint32).max ? type(uint32).max : units);
        if (s.earned > most) revert Differs("ESC-5: earned, and the most that time allows", s.earned, most);
    }

    function _ESC6_ESC12_what_is_over_stays_as_it_was(bytes32 id, Session memory s) private view {
        (uint80 earned, uint8 status, bytes32 frozen) = _handler.seen(id);
        if (s.earned < earned) revert Differs("ESC-2: earned, and what it was", s.earned, earned);
        if (uint8(s.status) < status) revert Differs("ESC-6: status, and what it was", uint8(s.status), status);
        if (frozen != 0) _equal(_handler.freeze(s), frozen, "ESC-6, ESC-12: what is over, and what it was");
    }

    function _ESC10_tallies_are_the_sums_of_scores(address advisor, uint256 scores, uint256 sum) private view {
        (uint256 count, uint256 total) = _escrow.ratingOf(advisor);
        _equal(count, scores, "ESC-10: scores");
        _equal(total, sum, "ESC-10: their sum");
        (count, total) = _books.ratingOf(advisor);
        _equal(count, scores, "ESC-10: scores, and the books'");
        _equal(total, sum, "ESC-10: their sum, and the books'");
    }

    function _indexOf(address account) private view returns (uint256 i) {
        while (_accounts[i] != account) ++i;
    }
}
