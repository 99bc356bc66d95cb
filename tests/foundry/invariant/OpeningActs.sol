// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Opening, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Grant, Pen} from "./GhostMoney.sol";
import {OpeningRow} from "./GhostSessions.sol";
import {LedgerActs} from "./LedgerActs.sol";
import {Quotes} from "./Quotes.sol";
import {Act} from "./Stage.sol";

/// @title Acts: opening and revoking
abstract contract OpeningActs is LedgerActs, Quotes {
    function open(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toOpen(seed, address(0), ANY_TOKEN));
    }

    function openWithAuthorization(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toOpenWithAuthorization(seed));
    }

    function openFromBalance(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        bytes32 id = _toBeOpened(seed, address(0), ANY_TOKEN);
        uint80 amount = _depositFor(seed, id);
        _stockFor(seed, id, amount);
        _perform(_toOpenFromBalance(seed, address(0), id, amount));
    }

    function openBatch(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        uint256 rows = 1 + _roll(seed, "rows", 4);
        bytes32[] memory ids = new bytes32[](rows);
        uint80[] memory amounts = new uint80[](rows);
        for (uint256 i = 0; i < rows; ++i) {
            uint256 own = seed ^ (i + 1);
            bool double = i != 0 && _chance(own, "double", 15); // ESC-16
            ids[i] = double ? ids[i - 1] : _toBeOpened(own, address(0), ANY_TOKEN);
            amounts[i] = _depositFor(own, ids[i]);
            _stockFor(own, ids[i], amounts[i]);
        }
        _perform(_toOpenBatch(seed, ids, amounts));
    }

    function revoke(uint256[4] calldata dice) external {
        uint256 seed = _wake(dice);
        _perform(_toRevoke(seed));
    }

    /// @dev Mostly there is enough in the payer's balance; sometimes not.
    function _stockFor(uint256 seed, bytes32 id, uint80 amount) internal {
        if (_isToken(_tokenOf(id)) && _chance(seed, "stock", 80)) _stock(_tokenOf(id), _payerOf(id), amount);
    }

    /// @dev Mostly a new quote, else one that exists, in whatever state.
    function _toBeOpened(uint256 seed, address payer, address token) internal returns (bytes32) {
        if (payer != address(0) || _chance(seed, "new quote", 80)) return _quote(seed, payer, token);
        bytes32 id = ghost.pick(seed, 1 << uint256(Status.None));
        return id == 0 ? _quote(seed, payer, token) : id;
    }

    function _depositFor(uint256 seed, bytes32 id) internal view returns (uint80) {
        uint256 first = _unitPriceOf(id) == 0 ? _stepPriceOf(id) : _unitPriceOf(id);
        uint256 needed = _connectFeeOf(id) + first;
        uint256 kind = _roll(seed, "deposit", 30);
        if (kind == 0) return needed == 0 ? 0 : uint80(needed - 1);
        if (kind < 6) return uint80(needed);
        return uint80(needed + _roll(seed, "beyond", 30 * uint256(_one(_tokenOf(id)))));
    }

    /// @dev A row for openBatch, and what every other way to open has in common with it.
    function _row(uint256 seed, address by, bytes32 id, uint80 amount)
        internal
        view
        returns (Opening memory real, OpeningRow memory row)
    {
        (row.id, row.deposit, real.deposit, real.terms) = (id, amount, amount, _packedOf(id));
        if (_chance(seed, "another spelling", 2)) (row.dirt, row.spelled) = _misspell(seed, real.terms);
        (address advisor, address client) = (_advisorOf(id), _clientOf(id));
        if (by != advisor || _chance(seed, "advisor signs", 40)) {
            (real.advisorSignature, row.advisor) = _sign(seed, _terms(advisor, id));
        }
        if (client == _payerOf(id)) return (real, row);
        if (by != client || _chance(seed, "client signs", 40)) {
            (real.clientSignature, row.client) = _sign(~seed, _terms(client, id));
        }
    }

    function _toOpen(uint256 seed, address forced, address token) internal returns (Act memory a) {
        bytes32 id = _toBeOpened(seed, forced, token);
        uint80 amount = _depositFor(seed, id);
        (a.name, a.by, a.ids) = ("open", _payerOf(id), _list(id));
        if (forced == address(0) && _chance(seed, "not the payer", 3)) a.by = _oneOf(seed, "by", _accounts);
        a.by = _somebody(a.by);
        a.value = _tokenOf(id) == COIN ? amount : 0;
        if (_chance(seed, "wrong value", 3)) a.value += 1;
        (Opening memory real, OpeningRow memory row) = _row(seed, a.by, id, amount);
        a.real = abi.encodeCall(escrow.open, (real.terms, amount, real.advisorSignature, real.clientSignature));
        a.ghost = abi.encodeCall(ghost.open, (a.by, a.value, row));
    }

    function _toOpenWithAuthorization(uint256 seed) internal returns (Act memory a) {
        bytes32 id = _toBeOpened(seed, address(0), _chance(seed, "dollar", 90) ? DOLLAR : ANY_TOKEN);
        uint80 amount = _depositFor(seed, id);
        uint256 who = _roll(seed, "who", 4); // anyone, the advisor, or the client
        a.by = who == 0 ? _advisorOf(id) : who == 1 ? _clientOf(id) : _oneOf(seed, "by", _accounts);
        (a.name, a.by, a.ids) = ("openWithAuthorization", _somebody(a.by), _list(id));
        (Opening memory real, OpeningRow memory row) = _row(seed, a.by, id, amount);
        (Authorization memory authorization, Grant memory grant) =
            _authorize(seed >> 1, _tokenOf(id), _payerOf(id), amount, id);
        a.real = abi.encodeCall(
            escrow.openWithAuthorization,
            (real.terms, amount, authorization, real.advisorSignature, real.clientSignature)
        );
        a.ghost = abi.encodeCall(ghost.openWithAuthorization, (a.by, 0, row, grant));
    }

    function _consentedRow(uint256 seed, address by, bytes32 id, uint80 amount)
        internal
        view
        returns (Opening memory real, OpeningRow memory row)
    {
        (real, row) = _row(seed, by, id, amount);
        if (by != _payerOf(id) || _chance(seed, "payer signs", 20)) {
            (real.payerSignature, row.payer) = _sign(seed >> 2, _opening(id, amount));
        }
    }

    function _toOpenFromBalance(uint256 seed, address forced, bytes32 id, uint80 amount)
        internal
        view
        returns (Act memory a)
    {
        a.by = _chance(seed, "payer", 40) ? _payerOf(id) : _oneOf(seed, "by", _accounts);
        if (forced != address(0)) a.by = forced;
        (a.name, a.by, a.ids) = ("openFromBalance", _somebody(a.by), _list(id));
        (Opening memory real, OpeningRow memory row) = _consentedRow(seed, a.by, id, amount);
        a.real = abi.encodeCall(escrow.openFromBalance, (real));
        a.ghost = abi.encodeCall(ghost.openFromBalance, (a.by, 0, row));
    }

    function _toOpenBatch(uint256 seed, bytes32[] memory ids, uint80[] memory amounts)
        internal
        view
        returns (Act memory a)
    {
        a.by = _chance(seed, "payer", 30) ? _payerOf(ids[0]) : _oneOf(seed, "by", _accounts);
        (a.name, a.by, a.ids) = ("openBatch", _somebody(a.by), ids);
        Opening[] memory reals = new Opening[](ids.length);
        OpeningRow[] memory rows = new OpeningRow[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            (reals[i], rows[i]) = _consentedRow(seed ^ (i + 1), a.by, ids[i], amounts[i]);
        }
        a.real = abi.encodeCall(escrow.openBatch, (reals));
        a.ghost = abi.encodeCall(ghost.openBatch, (a.by, 0, rows));
    }

    function _toRevoke(uint256 seed) internal returns (Act memory a) {
        bytes32 id = _roll(seed, "which", 3) == 0 ? _quote(seed, address(0), ANY_TOKEN) : bytes32(0);
        if (id == 0) id = ghost.pick(seed, _chance(seed, "any", 15) ? 0 : 1 << uint256(Status.None));
        if (id == 0) id = _quote(seed, address(0), ANY_TOKEN);
        address party = _chance(seed, "party", 50) ? _advisorOf(id) : _payerOf(id);
        if (_chance(seed, "no party", 5)) party = _oneOf(seed, "anybody", _accounts);
        bool calls = _chance(seed, "calls", 50);
        (a.name, a.by, a.ids) = ("revoke", calls ? party : _oneOf(seed, "by", _accounts), _list(id));
        a.by = _somebody(a.by);
        (bytes memory signature, Pen memory pen) = _signOrCall(seed, a.by, _revocation(party, id));
        a.real = abi.encodeCall(escrow.revoke, (_packedOf(id), party, signature));
        a.ghost = abi.encodeCall(ghost.revoke, (a.by, 0, id, party, pen));
    }

    function _list(bytes32 id) internal pure returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = id;
    }
}
