// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Closing, Status} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Base, Terms} from "./Base.sol";
import {OwnedWallet} from "./mocks/Wallets.sol";
import {PlainToken} from "./mocks/Tokens.sol";

/// @dev Gas to the unit: what a wallet's check and a refund get, no more and no less, and how much must be left for it.
contract StipendsTest is Base {
    uint256 private constant CHECK = 400_000; // gas of a wallet's check (ERC-1271)
    uint256 private constant COIN_REFUND = 50_000;
    uint256 private constant TOKEN_REFUND = 200_000;
    uint256 private constant BROUGHT = 2_300; // by the chain, to whoever is called with coin

    /// @dev Code that reverts unless it is called with exactly this much gas; then it answers a word, or nothing. In the
    /// EVM's own words, as a compiler's code has used some before anybody can look.
    function _exactly(uint256 gas_, bytes32 answer) private pure returns (bytes memory) {
        // GAS PUSH3 .. EQ PUSH1 12 JUMPI PUSH0 PUSH0 REVERT JUMPDEST; GAS itself costs 2
        bytes memory start = abi.encodePacked(hex"5a62", uint24(gas_ - 2), hex"14600c575f5ffd5b");
        if (answer == 0) return bytes.concat(start, hex"00"); // STOP
        // PUSH32 .. PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
        return abi.encodePacked(start, hex"7f", answer, hex"5f5260205ff3");
    }

    function _isPaid(Terms memory t) private view {
        _equal(uint256(_session(t).status), uint256(Status.Closed), "status");
        _equal(escrow.balanceOf(t.token, t.payer), 0, "credited instead");
    }

    // ------------------------------------------------------------------ what is passed on

    function test_a_wallets_check_gets_exactly_400000_gas() external {
        Terms memory t = _interactions();
        t.advisor = address(0xAD);
        CHEATS.etch(t.advisor, _exactly(CHECK, bytes32(bytes4(0x1626ba7e)))); // what isValidSignature answers
        CHEATS.prank(CLIENT);
        escrow.open(_pack(t), DEPOSIT, "told before", "");
        _equal(uint256(_session(t).status), uint256(Status.Open), "status");
    }

    function test_ESC8_a_refund_in_coin_brings_exactly_50000_gas() external {
        Terms memory t = _sponsored();
        (t.tariff.unitSeconds, t.token) = (0, COIN);
        _open(t, DEPOSIT);
        CHEATS.etch(SPONSOR, _exactly(COIN_REFUND + BROUGHT, 0));
        _close(t, 1);
        _isPaid(t);
    }

    function test_ESC8_a_refund_in_tokens_brings_exactly_200000_gas() external {
        Terms memory t = _tokens();
        CHEATS.etch(t.token, _exactly(TOKEN_REFUND, bytes32(uint256(1))));
        _close(t, 1);
        _isPaid(t);
    }

    // ------------------------------------------------------------------ what must be left

    function test_NotEnoughGas_tells_what_a_wallets_check_needs_and_what_is_left() external {
        OwnedWallet wallet = new OwnedWallet(ADVISOR);
        keys[address(wallet)] = ADVISOR_KEY;
        Terms memory t = _interactions();
        t.advisor = address(wallet);
        _open(t, DEPOSIT);
        // a 63rd more, because a 64th is kept back; 5,000 to call and to go on
        _firstTold(_closing(t, 1), CHECK + CHECK / 60 + 5_000);
    }

    function test_NotEnoughGas_tells_what_a_refund_in_coin_needs_and_whoever_adds_it_pays_with_all_of_it() external {
        Terms memory t = _sponsored();
        (t.tariff.unitSeconds, t.token) = (0, COIN);
        _open(t, DEPOSIT);
        CHEATS.etch(SPONSOR, _exactly(COIN_REFUND + BROUGHT, 0));
        _addsWhatIsMissing(t, COIN_REFUND + COIN_REFUND / 60 + 30_000);
    }

    function test_NotEnoughGas_tells_what_a_refund_in_tokens_needs_and_whoever_adds_it_pays_with_all_of_it() external {
        Terms memory t = _tokens();
        CHEATS.etch(t.token, _exactly(TOKEN_REFUND, bytes32(uint256(1))));
        _addsWhatIsMissing(t, TOKEN_REFUND + TOKEN_REFUND / 60 + 30_000);
    }

    function _addsWhatIsMissing(Terms memory t, uint256 needed) private {
        Closing memory c = _closing(t, 1);
        (uint256 given, uint256 left) = _firstTold(c, needed);
        escrow.closeFor{gas: given + needed - left}(c);
        _isPaid(t);
    }

    /// @dev With more and more gas, until it is enough to be told that it is not enough.
    function _firstTold(Closing memory c, uint256 needed) private returns (uint256 given, uint256 left) {
        for (given = 40_000;; given += 5_000) {
            (bool done, bytes memory why) = address(escrow).call{gas: given}(abi.encodeCall(escrow.closeFor, (c)));
            require(!done, "NotEnoughGas was never told");
            if (why.length == 0) continue; // out of gas
            uint256 told;
            assembly ("memory-safe") {
                told := mload(add(why, 36))
                left := mload(add(why, 68))
            }
            _equal(why, abi.encodeWithSelector(IErrors.NotEnoughGas.selector, told, left), "why");
            _equal(told, needed, "needed");
            require(left > 0 && left < needed, "what is left");
            return (given, left);
        }
    }

    function _tokens() private returns (Terms memory t) {
        PlainToken plain = new PlainToken();
        plain.mint(CLIENT, DEPOSIT);
        CHEATS.prank(CLIENT);
        plain.approve(address(escrow), DEPOSIT);
        t = _interactions();
        t.token = address(plain);
        _open(t, DEPOSIT);
    }
}
