"""TestUSD moves like the stablecoins it stands in for: by call, by permit, by authorization."""

import brownie
import pytest
from brownie import accounts, chain
from eth_account import Account
from eth_account.messages import encode_typed_data

NONCE = "0x" + "07" * 32
AMOUNT = 40_000_000  # 40 tUSD
FIELDS = {
    "TransferWithAuthorization": "address from,address to,uint256 value,"
    "uint256 validAfter,uint256 validBefore,bytes32 nonce",
    "ReceiveWithAuthorization": "address from,address to,uint256 value,"
    "uint256 validAfter,uint256 validBefore,bytes32 nonce",
    "CancelAuthorization": "address authorizer,bytes32 nonce",
    "Permit": "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline",
}


def sign(token, signer, kind, message):
    """The signature of `signer` of a typed message, as the object of eth-account."""
    fields = [
        dict(zip(("type", "name"), each.split(), strict=True)) for each in FIELDS[kind].split(",")
    ]
    domain = {
        "name": "Test USD",
        "version": "1",
        "chainId": 1337,
        "verifyingContract": token.address,
    }
    typed = encode_typed_data(domain, {kind: fields}, message)
    return Account.from_key(signer.private_key).sign_message(typed)


def vrs(signature):
    return signature.v, signature.r.to_bytes(32, "big"), signature.s.to_bytes(32, "big")


def authorization(holder, to, **changes):
    message = {
        "from": holder.address,
        "to": to.address,
        "value": AMOUNT,
        "validAfter": 0,
        "validBefore": chain.time() + 3600,
        "nonce": NONCE,
    }
    return {**message, **changes}


def refused(error, *first_fields):
    """Expects a typed error that begins with these fields."""
    fields = ", ".join(str(field).lower() for field in first_fields)
    return brownie.reverts(revert_pattern=rf"{error}: {fields}\b.*")


@pytest.fixture
def funded(token, holder):
    token.mint(holder, 100_000_000, {"from": accounts[0]})
    accounts[0].transfer(holder, "1 ether")
    return holder


def test_anyone_mints_and_transfers_six_decimals(token):
    token.mint(accounts[1], 5_000_000, {"from": accounts[1]})
    token.transfer(accounts[2], 2_000_000, {"from": accounts[1]})
    assert (token.name(), token.symbol(), token.decimals()) == ("Test USD", "tUSD", 6)
    assert token.balanceOf(accounts[1]) == 3_000_000
    assert token.balanceOf(accounts[2]) == 2_000_000
    assert token.totalSupply() == 5_000_000


def test_a_batch_mints_to_each_account_its_amount(token):
    token.mintBatch([accounts[1], accounts[2]], [1, 2], {"from": accounts[0]})
    assert [token.balanceOf(accounts[i]) for i in (1, 2)] == [1, 2]


def test_a_batch_needs_one_amount_for_each_account(token):
    with refused("BatchLengthsDiffer", 2, 1):
        token.mintBatch([accounts[1], accounts[2]], [1], {"from": accounts[0]})


@pytest.mark.parametrize(
    "form", [vrs, lambda signature: (signature.signature,)], ids=["vrs", "bytes"]
)
def test_a_transfer_authorization_moves_tokens_once_whoever_submits_it(token, funded, form):
    message = authorization(funded, accounts[3])
    call = (*message.values(), *form(sign(token, funded, "TransferWithAuthorization", message)))
    tx = token.transferWithAuthorization(*call, {"from": accounts[4]})
    assert token.balanceOf(accounts[3]) == AMOUNT
    assert tx.events["AuthorizationUsed"]["nonce"] == NONCE
    assert token.authorizationState(funded, NONCE) is True
    with refused("AuthorizationSpent", funded.address):
        token.transferWithAuthorization(*call, {"from": accounts[4]})


@pytest.mark.parametrize(
    "form", [vrs, lambda signature: (signature.signature,)], ids=["vrs", "bytes"]
)
def test_a_receive_authorization_serves_its_recipient_alone(token, funded, form):
    message = authorization(funded, accounts[3])
    call = (*message.values(), *form(sign(token, funded, "ReceiveWithAuthorization", message)))
    with refused("CallerNotRecipient", accounts[3].address, accounts[4].address):
        token.receiveWithAuthorization(*call, {"from": accounts[4]})
    token.receiveWithAuthorization(*call, {"from": accounts[3]})
    assert token.balanceOf(accounts[3]) == AMOUNT


@pytest.mark.parametrize(
    "form", [vrs, lambda signature: (signature.signature,)], ids=["vrs", "bytes"]
)
def test_a_canceled_authorization_moves_nothing(token, funded, form):
    cancel = {"authorizer": funded.address, "nonce": NONCE}
    signed = form(sign(token, funded, "CancelAuthorization", cancel))
    tx = token.cancelAuthorization(*cancel.values(), *signed, {"from": accounts[4]})
    assert tx.events["AuthorizationCanceled"]["authorizer"] == funded.address

    message = authorization(funded, accounts[3])
    signature = sign(token, funded, "TransferWithAuthorization", message).signature
    with refused("AuthorizationSpent", funded.address):
        token.transferWithAuthorization(*message.values(), signature, {"from": accounts[4]})
    assert token.balanceOf(accounts[3]) == 0


def test_an_authorization_of_another_kind_is_refused(token, funded):
    message = authorization(funded, accounts[3])
    signature = sign(token, funded, "ReceiveWithAuthorization", message).signature
    with refused("AuthorizationSignatureInvalid", funded.address):
        token.transferWithAuthorization(*message.values(), signature, {"from": accounts[3]})
    assert token.balanceOf(accounts[3]) == 0


def test_an_authorization_that_somebody_else_signed_is_refused(token, funded):
    stranger = accounts.add("0x" + "52" * 32)
    message = authorization(funded, accounts[3])
    signature = sign(token, stranger, "TransferWithAuthorization", message).signature
    with refused("AuthorizationSignatureInvalid", funded.address):
        token.transferWithAuthorization(*message.values(), signature, {"from": accounts[3]})
    assert token.authorizationState(funded, NONCE) is False


def test_an_authorization_is_refused_before_its_time_and_after_it(token, funded):
    early = authorization(funded, accounts[3], validAfter=chain.time() + 1000)
    signature = sign(token, funded, "TransferWithAuthorization", early).signature
    with refused("AuthorizationNotYetValid", early["validAfter"]):
        token.transferWithAuthorization(*early.values(), signature, {"from": accounts[4]})

    late = authorization(funded, accounts[3], validBefore=chain.time() - 1)
    signature = sign(token, funded, "TransferWithAuthorization", late).signature
    with refused("AuthorizationExpired", late["validBefore"]):
        token.transferWithAuthorization(*late.values(), signature, {"from": accounts[4]})


def test_a_permit_lets_the_spender_take_the_amount(token, funded):
    permit = {
        "owner": funded.address,
        "spender": accounts[5].address,
        "value": AMOUNT,
        "nonce": token.nonces(funded),
        "deadline": chain.time() + 3600,
    }
    signature = sign(token, funded, "Permit", permit)
    token.permit(
        permit["owner"],
        permit["spender"],
        AMOUNT,
        permit["deadline"],
        *vrs(signature),
        {"from": accounts[4]},
    )
    token.transferFrom(funded, accounts[5], AMOUNT, {"from": accounts[5]})
    assert token.balanceOf(accounts[5]) == AMOUNT
