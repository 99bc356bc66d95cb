// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ratings} from "./Ratings.sol";

/// @title SessionEscrow: the ledger, the sessions and the ratings as one contract
/// @notice Nobody owns it, nothing can be changed or paused, and it takes no share of its own.
/// @dev Read Ledger, Sessions and Ratings in this order; what each function promises stands in ISessionEscrow.
contract SessionEscrow is Ratings {}
