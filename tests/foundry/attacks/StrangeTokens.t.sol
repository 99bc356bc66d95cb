// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IErrors} from "../../../contracts/interfaces/IErrors.sol";
import {Status} from "../../../contracts/interfaces/ISessionEscrow.sol";
import {Authorization} from "../../../contracts/libraries/Tokens.sol";
import {Terms} from "../Base.sol";
import {
    BombToken,
    ExtraFeeToken,
    FaceOfCoin,
    Gulper,
    LooseToken,
    OneWayToken,
    Pieces,
    PlainTwin,
    RebasingToken,
    Rogue,
    TurncoatToken,
    TwinToken
} from "../mocks/Hostile.sol";
import {BlacklistToken, PlainToken} from "../mocks/Tokens.sol";
import {HookedAccount} from "../mocks/Wallets.sol";
import {Attack} from "./Attack.sol";

/// @dev Tokens that are no tokens, change, or lie. Whatever they do, they do to their own holders: tUSD stands beside
/// them in the same escrow and is never touched.
contract StrangeTokensTest is Attack {
    uint256 private constant AMOUNT = 100e6;

    function setUp() public override {
        super.setUp();
        _stock(STRANGER); // the bystander's tUSD
    }

    // ------------------------------------------------------------------ no tokens at all

    /// @dev Wants a balance in a token that is none, to be paid by a real one later at that address, or by nobody. The
    /// precompiles answer like contracts and have no code; an account has none; escrow and jar are no tokens.
    function test_precompiles_accounts_and_the_contracts_themselves_are_no_tokens() external {
        address[13] memory none;
        for (uint160 i = 0; i < 10; ++i) {
            none[i] = address(i + 1);
        }
        (none[10], none[11], none[12]) = (ADVISOR, address(jar), address(escrow));
        for (uint256 i = 0; i < 13; ++i) {
            _notAToken(none[i]);
        }
    }

    function _notAToken(address of_) private {
        Terms memory t = _terms();
        t.token = of_;
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        Authorization memory a;
        a.signature = _sign(CLIENT_KEY, _type(RECEIVE_TYPE));
        bytes[5] memory ways = [
            abi.encodeCall(escrow.open, (_pack(t), DEPOSIT, quote, "")),
            abi.encodeCall(escrow.openWithAuthorization, (_pack(t), DEPOSIT, a, quote, "")),
            abi.encodeCall(escrow.openFromBalance, (_opening(t, DEPOSIT))),
            abi.encodeCall(escrow.deposit, (of_, CLIENT, AMOUNT)),
            abi.encodeCall(escrow.depositWithAuthorization, (of_, CLIENT, AMOUNT, 0, a))
        ];
        for (uint256 i = 0; i < 5; ++i) {
            CHEATS.prank(CLIENT);
            (bool done,) = address(escrow).call{gas: 3_000_000}(ways[i]); // some precompiles burn what they get
            require(!done, "taken for a token");
        }
        CHEATS.prank(CLIENT);
        (bool tipped,) = address(jar).call{gas: 3_000_000}(abi.encodeCall(jar.tip, (ADVISOR, "", of_, 1, "")));
        require(!tipped, "tipped");
        _equal(uint256(_session(t).status), uint256(Status.None), "status");
        _equal(escrow.balanceOf(of_, CLIENT), 0, "balance");
    }

    /// @dev Wants coin counted that never came, by an authorization in the name of no token. The zero address has no
    /// code.
    function test_coin_has_no_authorizations() external {
        Terms memory t = _terms();
        t.token = COIN;
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), DEPOSIT, _idOf(t));
        bytes4 none = IErrors.TokenWithoutCode.selector;
        bytes memory open = abi.encodeCall(escrow.openWithAuthorization, (_pack(t), DEPOSIT, a, quote, ""));
        _fails(STRANGER, address(escrow), open, none);
        bytes memory in_ = abi.encodeCall(escrow.depositWithAuthorization, (COIN, CLIENT, AMOUNT, 0, a));
        _fails(STRANGER, address(escrow), in_, none);
        bytes memory tip = abi.encodeCall(jar.tipWithAuthorization, (CLIENT, ADVISOR, 0, COIN, 1, 0, 0, a));
        _fails(STRANGER, address(jar), tip, none);
    }

    /// @dev Wants a deposit counted by a token that accepts every call and does nothing. Stopped by counting what
    /// arrived. Known from: WETH9, which swallows what it does not know.
    function test_a_token_that_swallows_calls_pays_nothing_in() external {
        address gulper = address(new Gulper());
        bytes4 failed = IErrors.TokenCallFailed.selector;
        bytes4 nothing = IErrors.AmountNotReceived.selector;
        _fails(CLIENT, address(escrow), abi.encodeCall(escrow.deposit, (gulper, CLIENT, AMOUNT)), nothing);
        _fails(CLIENT, address(jar), abi.encodeCall(jar.tip, (ADVISOR, "", gulper, AMOUNT, "")), nothing);
        Authorization memory a = _authorize(CLIENT_KEY, address(escrow), AMOUNT, "");
        bytes memory in_ = abi.encodeCall(escrow.depositWithAuthorization, (gulper, CLIENT, AMOUNT, 0, a));
        _fails(CLIENT, address(escrow), in_, failed); // it answers no separator
        bytes memory tip = abi.encodeCall(jar.tipWithAuthorization, (CLIENT, ADVISOR, 0, gulper, AMOUNT, 0, 0, a));
        _fails(CLIENT, address(jar), tip, failed);
    }

    /// @dev Wants money paid out that did not move: the token knows no `transfer` and swallows it. It works, in that
    /// token; who takes it in payment gets nothing. Nobody else is touched.
    function test_a_token_that_swallows_transfers_keeps_what_was_paid_in() external {
        OneWayToken oneWay = new OneWayToken();
        oneWay.mint(CLIENT, AMOUNT);
        CHEATS.prank(CLIENT);
        escrow.deposit(address(oneWay), CLIENT, AMOUNT);
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(oneWay), AMOUNT, CLIENT);
        _equal(oneWay.balanceOf(CLIENT), 0, "nothing came back");
        _equal(oneWay.balanceOf(address(escrow)), AMOUNT, "it is all still here");
        _bystander();
    }

    /// @dev Wants to pay with numbered pieces instead of money. Only piece number one passes for one base unit, and it
    /// cannot leave again: its giver has locked it up, and an advisor who agreed to such a token trusted it.
    function test_a_numbered_piece_passes_for_one_unit_at_most_and_stays() external {
        Pieces pieces = new Pieces();
        pieces.mint(CLIENT, 1);
        pieces.mint(CLIENT, 2);
        bytes memory second = abi.encodeCall(escrow.deposit, (address(pieces), CLIENT, 2));
        _fails(CLIENT, address(escrow), second, IErrors.AmountNotReceived.selector);
        _works(CLIENT, address(escrow), abi.encodeCall(escrow.deposit, (address(pieces), CLIENT, 1)));
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(pieces), 1, CLIENT));
        _fails(CLIENT, address(escrow), out, IErrors.PaymentFailed.selector);
    }

    // ------------------------------------------------------------------ fees

    /// @dev Wants the recipient's fee hidden until money is inside. Ways in refuse from then on; what leaves is cut by
    /// the token on the way, and the escrow stays able to pay everybody.
    function test_a_fee_that_is_switched_on_later_stops_ways_in_and_leaves_the_books_right() external {
        RebasingToken changing = RebasingToken(_give(address(new RebasingToken())));
        Terms memory t = _session(address(changing));
        changing.keepFee(10);
        bytes memory more = abi.encodeCall(escrow.topUp, (_pack(t), DEPOSIT + 100));
        _fails(CLIENT, address(escrow), more, IErrors.AmountNotReceived.selector);
        uint256 before = changing.balanceOf(CLIENT);
        _close(t, 1);
        uint256 refund = DEPOSIT - 1_500_000;
        _equal(changing.balanceOf(CLIENT) - before, refund - refund / 10, "cut on the way");
        _booksAreRight(address(changing), 0);
    }

    /// @dev Wants others' money eaten by a token that charges the sender on top. What arrives is right, so ways in take
    /// it; each payment out costs the escrow more than it owes, and the last holder of that token is not paid. The
    /// price is borne by that token's holders alone; no token of note does this.
    function test_a_fee_on_top_of_what_is_sent_is_paid_by_the_tokens_other_holders() external {
        ExtraFeeToken extra = ExtraFeeToken(_give(address(new ExtraFeeToken())));
        _deposit(address(extra), CLIENT, AMOUNT);
        _deposit(address(extra), SPONSOR, AMOUNT);
        CHEATS.prank(CLIENT);
        escrow.withdraw(address(extra), AMOUNT, CLIENT);
        bytes memory all = abi.encodeCall(escrow.withdraw, (address(extra), AMOUNT, SPONSOR));
        _fails(SPONSOR, address(escrow), all, IErrors.PaymentFailed.selector);
        _equal(extra.balanceOf(address(escrow)), AMOUNT - AMOUNT / 100, "what is missing");
        _works(SPONSOR, address(escrow), abi.encodeCall(escrow.withdraw, (address(extra), AMOUNT - 2e6, SPONSOR)));
        _bystander();
    }

    // ------------------------------------------------------------------ balances that change by themselves

    /// @dev Wants to profit from a balance that falls or grows by itself. What is owed does not change: after a fall
    /// the first are paid and the last not, after a rise the surplus is nobody's. Sessions close in any case.
    function test_a_rebase_changes_what_is_held_and_not_what_is_owed() external {
        RebasingToken elastic = RebasingToken(_give(address(new RebasingToken())));
        Terms memory t = _session(address(elastic));
        _deposit(address(elastic), SPONSOR, AMOUNT);
        elastic.rebase(address(escrow), 2 * _held(address(elastic)));
        _booksAreRight(address(elastic), AMOUNT + DEPOSIT);
        elastic.rebase(address(escrow), 50e6); // of 130 owed
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(elastic), AMOUNT, SPONSOR));
        _fails(SPONSOR, address(escrow), out, IErrors.PaymentFailed.selector);
        elastic.rebase(address(escrow), 0);
        _close(t, 1);
        _equal(escrow.balanceOf(address(elastic), CLIENT), DEPOSIT - 1_500_000, "credited, for it cannot be paid");
        _bystander();
    }

    // ------------------------------------------------------------------ tokens that turn

    /// @dev Wants to be paid twice: the token, upgraded, pays and says that it did not. The refund is credited as well;
    /// in that token more is owed than is held. Nothing else is touched, and no session is stuck.
    function test_a_token_that_pays_and_denies_it_owes_its_own_holders() external {
        TurncoatToken coat = TurncoatToken(_give(address(new TurncoatToken())));
        _deposit(address(coat), SPONSOR, AMOUNT);
        Terms memory t = _session(address(coat));
        coat.become(TurncoatToken.Turn.PaysAndDenies);
        uint256 before = coat.balanceOf(CLIENT);
        _close(t, 0);
        _equal(coat.balanceOf(CLIENT) - before, DEPOSIT, "paid");
        _equal(escrow.balanceOf(address(coat), CLIENT), DEPOSIT, "and credited");
        _equal(_owed(address(coat)) - _held(address(coat)), DEPOSIT, "missing in this token");
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(coat), AMOUNT, SPONSOR));
        _fails(SPONSOR, address(escrow), out, IErrors.PaymentFailed.selector); // while it denies, nothing leaves
        _bystander();
    }

    /// @dev Wants a payment to be counted that the token kept. It is: a token is believed when it says that it paid.
    function test_a_token_that_keeps_and_affirms_it_robs_its_own_holders() external {
        TurncoatToken coat = TurncoatToken(_give(address(new TurncoatToken())));
        Terms memory t = _session(address(coat));
        coat.become(TurncoatToken.Turn.KeepsAndAffirms);
        _close(t, 1);
        _equal(escrow.balanceOf(address(coat), CLIENT), 0, "not credited");
        _equal(_held(address(coat)), DEPOSIT, "all still here");
        _bystander();
    }

    /// @dev Wants the escrow shut out of its own money, by the token's blacklist. Sessions close and everybody is
    /// credited; nobody can withdraw in that token while it lasts.
    function test_an_escrow_on_a_tokens_blacklist_closes_sessions_and_pays_later() external {
        BlacklistToken lists = BlacklistToken(_give(address(new BlacklistToken())));
        Terms memory t = _session(address(lists));
        lists.blacklist(address(escrow), true);
        _close(t, 1);
        _equal(escrow.balanceOf(address(lists), CLIENT), DEPOSIT - 1_500_000, "credited");
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(lists), 1_350_000, ADVISOR));
        _fails(ADVISOR, address(escrow), out, IErrors.PaymentFailed.selector);
        lists.blacklist(address(escrow), false);
        _works(ADVISOR, address(escrow), out);
        _bystander();
    }

    /// @dev Wants a session stuck in a token whose questions fail. Ways out ask nothing; only ways in do.
    function test_a_token_that_no_longer_tells_balances_still_pays_out() external {
        BombToken silent = BombToken(_give(address(new BombToken())));
        Terms memory t = _session(address(silent));
        uint256 before = silent.balanceOf(CLIENT);
        CHEATS.etch(address(silent), address(new MuteToken()).code);
        bytes memory more = abi.encodeCall(escrow.topUp, (_pack(t), DEPOSIT + 1));
        _fails(CLIENT, address(escrow), more, IErrors.TokenCallFailed.selector);
        _close(t, 1);
        CHEATS.etch(address(silent), address(new BombToken()).code);
        _equal(silent.balanceOf(CLIENT) - before, DEPOSIT - 1_500_000, "paid out");
    }

    // ------------------------------------------------------------------ two names for one money

    /// @dev Wants one arrival credited under both addresses of a token with two, or to draw one out through the other.
    /// Each way in counts the whole money and locks out the other; what was credited under one name leaves under that
    /// name.
    function test_a_token_with_two_addresses_is_credited_under_one() external {
        PlainTwin ledger = new PlainTwin();
        TwinToken twin = new TwinToken(ledger);
        HookedAccount payer = new HookedAccount();
        people.push(address(payer));
        ledger.mint(address(payer), AMOUNT);
        CHEATS.prank(address(payer));
        ledger.approve(address(escrow), type(uint256).max);
        CHEATS.prank(address(payer));
        ledger.hook(true);
        bytes memory inside = abi.encodeCall(escrow.deposit, (address(twin), address(payer), AMOUNT));
        payer.onSend(address(escrow), inside, false);
        CHEATS.prank(address(payer));
        escrow.deposit(address(ledger), address(payer), AMOUNT);
        require(!payer.done(), "credited twice");
        _equal(payer.answer(), abi.encodeWithSelector(IErrors.Reentered.selector), "why");
        bytes memory out = abi.encodeCall(escrow.withdraw, (address(twin), 1, address(payer)));
        _fails(address(payer), address(escrow), out, IErrors.BalanceTooSmall.selector);
        _booksAreRight(address(ledger), 0);
        CHEATS.prank(address(payer));
        escrow.withdraw(address(ledger), AMOUNT, address(payer));
    }

    /// @dev Wants coin counted twice: a token shows coin as its balances, and in the middle of a payment in it coin
    /// comes as value, which the guard does not hold back. Both are credited; but the token cannot move the escrow's
    /// coin, so that what it credited is worth nothing. (A chain whose coin has a real ERC-20 face must not call its
    /// senders and move nothing.)
    function test_a_token_that_shows_coin_as_its_balances_takes_no_coin_out() external {
        address face = address(new FaceOfCoin());
        Rogue rogue = Rogue(payable(CHEATS.addr(0xBAD)));
        CHEATS.etch(address(rogue), address(new Rogue()).code);
        people.push(address(rogue));
        CHEATS.deal(address(rogue), 70);
        CHEATS.prank(SPONSOR);
        escrow.deposit{value: 700}(COIN, SPONSOR, 700);
        rogue.plan(address(escrow), 70, abi.encodeCall(escrow.deposit, (COIN, address(rogue), 70)));
        CHEATS.prank(address(rogue));
        escrow.deposit(face, address(rogue), 70);
        _equal(escrow.balanceOf(COIN, address(rogue)), 70, "once as coin");
        _equal(escrow.balanceOf(face, address(rogue)), 70, "once as the token");
        CHEATS.prank(address(rogue));
        escrow.withdraw(face, 70, address(rogue));
        _booksAreRight(COIN, 0);
        CHEATS.prank(address(rogue));
        escrow.withdraw(COIN, 70, address(rogue));
        _booksAreRight(COIN, 0);
        _equal(address(rogue).balance, 70, "no more than came");
    }

    // ------------------------------------------------------------------ loose authorizations

    /// @dev Wants a payer's money lost: takes the authorization and sends it to a token that lets anybody use it. It
    /// works: the money reaches the escrow beside its functions, opens nothing, and is nobody's. EIP-3009 forbids such
    /// tokens.
    function test_a_token_that_lets_anybody_use_authorizations_loses_the_payers_money() external {
        LooseToken loose = new LooseToken();
        loose.mint(CLIENT, DEPOSIT);
        Terms memory t = _interactions();
        t.token = address(loose);
        Authorization memory a;
        (a.validAfter, a.validBefore) = (time - 1, time + 1 hours);
        bytes32 message = keccak256(
            abi.encode(
                _type(RECEIVE_TYPE), CLIENT, address(escrow), uint256(DEPOSIT), a.validAfter, a.validBefore, _idOf(t)
            )
        );
        a.signature = _sign(CLIENT_KEY, _typed(loose.DOMAIN_SEPARATOR(), message));
        bytes memory quote = _signBy(ADVISOR, _hashOf(t));
        bytes memory open = abi.encodeCall(escrow.openWithAuthorization, (_pack(t), DEPOSIT, a, quote, ""));
        uint256 before = MORE_CHEATS.snapshotState();
        _works(RELAYER, address(escrow), open); // nobody is faster
        MORE_CHEATS.revertToState(before);
        _sendStraight(loose, a, _idOf(t));
        _fails(RELAYER, address(escrow), open, IErrors.TokenCallFailed.selector);
        _equal(loose.balanceOf(CLIENT), 0, "the payer's");
        _booksAreRight(address(loose), DEPOSIT);
        _bystander();
    }

    function _sendStraight(LooseToken loose, Authorization memory a, bytes32 nonce) private {
        (bytes32 r, bytes32 s) = abi.decode(a.signature, (bytes32, bytes32));
        uint8 v = uint8(a.signature[64]);
        CHEATS.prank(STRANGER);
        loose.receiveWithAuthorization(CLIENT, address(escrow), DEPOSIT, a.validAfter, a.validBefore, nonce, v, r, s);
    }

    // ------------------------------------------------------------------ helpers

    /// @dev Plenty for client and sponsor, and allowances.
    function _give(address of_) private returns (address) {
        address[2] memory rich = [CLIENT, SPONSOR];
        for (uint256 i = 0; i < 2; ++i) {
            PlainToken(of_).mint(rich[i], 1_000e6);
            (bool done,) = _send(rich[i], of_, abi.encodeCall(PlainToken.approve, (address(escrow), type(uint256).max)));
            done; // some here know no allowances
        }
        return of_;
    }

    function _deposit(address of_, address account, uint256 amount) private {
        CHEATS.prank(account);
        escrow.deposit(of_, account, amount);
    }

    function _session(address of_) private returns (Terms memory t) {
        t = _interactions();
        t.token = of_;
        _open(t, DEPOSIT);
        _watch(t);
    }

    /// @dev tUSD is as it was, and is paid out.
    function _bystander() private {
        _equal(_held(address(token)), 10_000e6, "tUSD");
        CHEATS.prank(STRANGER);
        escrow.withdraw(address(token), 10_000e6, STRANGER);
        _equal(token.balanceOf(STRANGER), 10_000e6, "paid out");
    }
}

/// @dev The bomb token's storage, after an upgrade that forgot the questions.
contract MuteToken {
    mapping(address account => uint256) private balances;

    function transfer(address to, uint256 amount) external returns (bool) {
        (balances[msg.sender], balances[to]) = (balances[msg.sender] - amount, balances[to] + amount);
        return true;
    }
}
