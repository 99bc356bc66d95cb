// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {TestUSD} from "../../../contracts/TestUSD.sol";
import {ISessionEscrow} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Asserts, Cheats, Hashing} from "../Base.sol";
import {BlacklistToken, FeeToken, HookToken, NoReturnToken, PlainToken} from "../mocks/Tokens.sol";
import {Books} from "./Books.sol";
import {Ghost} from "./Ghost.sol";
import {Kind} from "./GhostMoney.sol";
import {Persona} from "./Persona.sol";

/// @title Who plays, and with which tokens
abstract contract Cast is Asserts, Hashing {
    Cheats internal constant CHEATS = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    address internal constant COIN = address(0);
    uint256 internal constant STRANGER_KEY = 0xBAD; // nobody's in the cast
    uint256 internal constant METER_KEY = 0x3E;
    uint256 internal constant OTHER_METER_KEY = 0x3F;
    uint256 private constant RICHES = 1e30; // base units of each token in each wallet

    ISessionEscrow public immutable escrow;
    Ghost public immutable ghost;
    Books public immutable books;

    address internal immutable DOLLAR; // 6 decimals, EIP-3009
    address internal immutable PLAIN; // 18 decimals
    address internal immutable SILENT; // returns nothing, 6 decimals
    address internal immutable BLACK; // has a blacklist
    address internal immutable HOOK; // calls sender and recipient
    address internal immutable FEE; // keeps a fee

    address internal immutable RELAYER = CHEATS.addr(0x4E1A);
    address internal immutable STRANGER = CHEATS.addr(STRANGER_KEY);
    address internal immutable METER = CHEATS.addr(METER_KEY);
    address internal immutable OTHER_METER = CHEATS.addr(OTHER_METER_KEY);

    address[] internal _tokens;
    address[] internal _accounts; // everybody who can have a balance
    address[] internal _clients;
    address[] internal _sponsors; // payers who are not the client
    address[] internal _advisors;
    address[] internal _platforms;
    Persona[] internal _personas;
    mapping(address account => uint256) internal _keyOf; // a persona's is its owner's
    mapping(address account => address) internal _ownerOf; // of personas
    uint256 internal _now; // unix seconds

    constructor(ISessionEscrow escrow_, TestUSD dollar) {
        escrow = escrow_;
        _now = block.timestamp;
        ghost = new Ghost(address(escrow_), _now);
        books = new Books();
        DOLLAR = address(dollar);
        PLAIN = address(new PlainToken());
        SILENT = address(new NoReturnToken());
        BLACK = address(new BlacklistToken());
        HOOK = address(new HookToken());
        FEE = address(new FeeToken());
        _hire();
        _pay();
    }

    function tokens() external view returns (address[] memory) {
        return _tokens;
    }

    function accounts() external view returns (address[] memory) {
        return _accounts;
    }

    // ------------------------------------------------------------------ who

    function _hire() private {
        _join(_clients, 0x1C1);
        _join(_clients, 0x1C2);
        _joinAsContract(_clients, 0x1C3);
        _join(_sponsors, 0x151);
        _joinAsContract(_sponsors, 0x152);
        _join(_advisors, 0x1A1);
        _join(_advisors, 0x1A2);
        _joinAsContract(_advisors, 0x1A3);
        _join(_platforms, 0x1F1);
        _join(_platforms, 0x1F2);
        _keyOf[RELAYER] = 0x4E1A;
        _accounts.push(RELAYER);
    }

    function _join(address[] storage role, uint256 key) private {
        address account = CHEATS.addr(key);
        _keyOf[account] = key;
        role.push(account);
        _accounts.push(account);
    }

    function _joinAsContract(address[] storage role, uint256 ownerKey) private {
        address owner = CHEATS.addr(ownerKey);
        Persona persona = new Persona(owner);
        ghost.own(address(persona), owner);
        (_keyOf[address(persona)], _ownerOf[address(persona)]) = (ownerKey, owner);
        _personas.push(persona);
        role.push(address(persona));
        _accounts.push(address(persona));
    }

    // ------------------------------------------------------------------ what they have

    function _pay() private {
        _introduce(COIN, Kind.Coin);
        _introduce(DOLLAR, Kind.Dollar);
        _introduce(PLAIN, Kind.Plain);
        _introduce(SILENT, Kind.Plain);
        _introduce(BLACK, Kind.Blacklist);
        _introduce(HOOK, Kind.Hook);
        _introduce(FEE, Kind.Fee);
        for (uint256 i = 0; i < _personas.length; ++i) {
            CHEATS.prank(address(_personas[i]));
            HookToken(HOOK).hook(true);
        }
    }

    function _introduce(address token, Kind kind) private {
        _tokens.push(token);
        ghost.introduce(token, kind);
        for (uint256 i = 0; i < _accounts.length; ++i) {
            address account = _accounts[i];
            ghost.mint(token, account, RICHES);
            if (token == COIN) {
                CHEATS.deal(account, RICHES);
                continue;
            }
            PlainToken(token).mint(account, RICHES);
            if (token == SILENT) continue; // asks for no allowance
            CHEATS.prank(account);
            PlainToken(token).approve(address(escrow), type(uint256).max);
        }
    }

    /// @dev One whole token, in base units.
    function _one(address token) internal view returns (uint80) {
        return token == DOLLAR || token == SILENT ? 1e6 : 1e18;
    }

    /// @dev Senseless terms name parties who can't call.
    function _somebody(address account) internal view returns (address) {
        return _keyOf[account] == 0 ? RELAYER : account;
    }

    function _isToken(address token) internal view returns (bool) {
        return ghost.kind(token) != Kind.None;
    }

    function _held(address token, address account) internal view returns (uint256) {
        return token == COIN ? account.balance : PlainToken(token).balanceOf(account);
    }
}
