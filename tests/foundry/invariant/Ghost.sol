// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Session, Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Tariff} from "../Base.sol";
import {GhostMoney} from "./GhostMoney.sol";
import {GhostSessions} from "./GhostSessions.sol";

/// @title The ghost ledger: what handlers and rules ask it
contract Ghost is GhostSessions {
    constructor(address escrow, uint256 time_) GhostMoney(escrow, time_) {}

    /// @dev As `ISessionEscrow.session`.
    function session(bytes32 id) external view returns (Session memory) {
        return lives[id].session;
    }

    function status(bytes32 id) external view returns (Status) {
        return lives[id].session.status;
    }

    /// @dev The two sums of a session.
    function sums(bytes32 id) external view returns (uint80 deposit_, uint80 earned) {
        Session storage s = lives[id].session;
        return (s.deposit, s.earned);
    }

    function advisorOf(bytes32 id) external view returns (address) {
        return lives[id].terms.advisor;
    }

    /// @dev What three accounts have in the escrow, and what the first and the escrow have themselves.
    function standing(address token, address payer, address advisor, address platform)
        external
        view
        returns (uint256, uint256, uint256, uint256, uint256)
    {
        mapping(address => uint256) storage b = balanceOf[token];
        mapping(address => uint256) storage w = wallet[token];
        return (b[payer], b[advisor], b[platform], w[payer], w[ESCROW]);
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    /// @dev The fee for so many units by the tariff alone.
    function feeOf(bytes32 id, uint256 units) external view returns (uint256) {
        return _fee(lives[id].terms.tariff, units);
    }

    /// @dev What somebody needs to know who holds a meter: the most units that time allows, and the session's two sums.
    function meterAt(bytes32 id) external view returns (uint256, uint80, uint80) {
        Session storage s = lives[id].session;
        return (_mostUnits(lives[id]), s.deposit, s.earned);
    }

    function mostUnits(bytes32 id) external view returns (uint256) {
        return _mostUnits(lives[id]);
    }

    /// @dev The smallest number of units that has this fee or a higher one; `most` if none has.
    function unitsWorth(bytes32 id, uint256 fee, uint32 most) external view returns (uint32) {
        Tariff memory tariff = lives[id].terms.tariff;
        (uint32 low, uint32 high) = (0, most);
        if (most > 63 && _fee(tariff, 63) >= fee) high = 63; // mostly: fewer steps
        while (low < high) {
            uint32 middle = low + (high - low) / 2;
            if (_fee(tariff, middle) >= fee) high = middle;
            else low = middle + 1;
        }
        return high;
    }

    /// @dev An id, by chance: one whose status is among `wanted` (bit n: status n) if a few tries find one. Zero only if
    /// there are none at all.
    function pick(uint256 seed, uint256 wanted) external view returns (bytes32 id) {
        bool runs = wanted != 0 && wanted & ~uint256((1 << uint256(Status.Open)) | (1 << uint256(Status.Closing))) == 0;
        bytes32[] storage from = runs && running.length != 0 ? running : ids;
        uint256 length = from.length;
        if (length == 0) return 0;
        uint256 random = uint256(keccak256(abi.encode(seed)));
        for (uint256 i = 0; i < 8; ++i) {
            id = from[(random >> i * 32 & 0xffffffff) % length];
            if (wanted >> uint256(lives[id].session.status) & 1 == 1) return id;
        }
    }

    /// @dev A running session that `payer` pays for in `token`, opened from their wallet; zero if there is none.
    function pickPaidBy(uint256 seed, address payer, address token) external view returns (bytes32) {
        uint256 length = running.length;
        for (uint256 i = 0; i < length; ++i) {
            bytes32 id = running[(seed % length + i) % length];
            Life storage life = lives[id];
            if (life.terms.payer != payer || life.terms.token != token || life.session.refundsToBalance) continue;
            return id;
        }
        return 0;
    }
}
