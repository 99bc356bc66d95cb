// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Base, Cheats} from "../Base.sol";
import {Handler} from "./Handler.sol";
import {Rules} from "./Rules.sol";

/// @dev What forge asks an invariant test for, and cheat codes that only this one needs.
struct FuzzSelector {
    address addr;
    bytes4[] selectors;
}

interface FileCheats {
    function toString(bytes calldata value) external pure returns (string memory);
    function writeLine(string calldata path, string calldata data) external;
}

/// @dev Random lives of many sessions at once (see README.md). One invariant function, because forge gives each a
/// campaign of its own, and all campaigns the same dice: here every rule is looked at in every life.
contract LivesTest is Base, Rules {
    Handler internal handler;

    function setUp() public override {
        super.setUp();
        handler = new Handler(escrow, token);
        _watch(handler);
    }

    function invariant_ESC1_to_ESC19_hold_in_every_life() external view {
        _rules();
    }

    /// @dev The end of a life: forge calls this after the last act.
    function afterInvariant() external {
        _rules();
        bytes memory tally = handler.tally();
        handler.endEverything();
        _rules();
        string memory path = CHEATS.envOr("HONORARIUM_TALLY", string(""));
        if (bytes(path).length == 0) return;
        FileCheats files = FileCheats(address(CHEATS));
        files.writeLine(path, files.toString(tally));
    }

    // ------------------------------------------------------------------ what forge plays

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSenders() external view returns (address[] memory senders) {
        senders = new address[](1);
        senders[0] = address(this);
    }

    /// @dev An act that stands here twice is played twice as often.
    function targetSelectors() external view virtual returns (FuzzSelector[] memory targets) {
        bytes4[32] memory acts = [
            handler.deposit.selector,
            handler.depositWithAuthorization.selector,
            handler.withdraw.selector,
            handler.withdrawFor.selector,
            handler.open.selector,
            handler.openWithAuthorization.selector,
            handler.openFromBalance.selector,
            handler.openBatch.selector,
            handler.revoke.selector,
            handler.topUp.selector,
            handler.topUpWithAuthorization.selector,
            handler.topUpFromBalance.selector,
            handler.settle.selector,
            handler.settle.selector,
            handler.settle.selector,
            handler.settleBatch.selector,
            handler.close.selector,
            handler.closeFor.selector,
            handler.closeBatch.selector,
            handler.requestClose.selector,
            handler.requestClose.selector,
            handler.finalize.selector,
            handler.rate.selector,
            handler.answer.selector,
            handler.sleep.selector,
            handler.sleep.selector,
            handler.moods.selector,
            handler.blacklist.selector,
            handler.donate.selector,
            handler.again.selector,
            handler.strangers.selector,
            handler.reenter.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), new bytes4[](acts.length));
        for (uint256 i = 0; i < acts.length; ++i) {
            targets[0].selectors[i] = acts[i];
        }
    }
}
