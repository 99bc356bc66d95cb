// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Domain} from "../../contracts/Domain.sol";
import {ISessionEscrow} from "../../contracts/interfaces/ISessionEscrow.sol";
import {Signatures} from "../../contracts/libraries/Signatures.sol";
import {PackedTerms} from "../../contracts/libraries/Terms.sol";
import {Base, Cheats, Tariff, Terms} from "./Base.sol";
import {TermsHarness} from "./mocks/Harness.sol";

interface Json is Cheats {
    function keyExistsJson(string calldata json, string calldata key) external view returns (bool);
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key) external pure returns (bytes32[] memory);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonUintArray(string calldata json, string calldata key) external pure returns (uint256[] memory);
    function toString(uint256 value) external pure returns (string memory);
}

/// @dev The library's ways to hash messages and to check who signed them.
contract MessageHarness is Domain {
    function hash(bytes32 typeHash, bytes32[] calldata words) external pure returns (bytes32) {
        if (words.length == 1) return _hash(typeHash, words[0]);
        if (words.length == 2) return _hash(typeHash, words[0], uint256(words[1]));
        if (words.length == 3) return _hash(typeHash, words[0], uint256(words[1]), uint256(words[2]));
        return keccak256(abi.encodePacked(typeHash, words)); // as Ledger and Tokens do
    }

    function digest(bytes32 separator, bytes32 structHash) external pure returns (bytes32) {
        return _digest(separator, structHash);
    }

    function refusal(address signer, bytes32 signed, bytes calldata signature) external view returns (bytes memory) {
        return Signatures.refusal(signer, signed, signature);
    }
}

/// @dev tests/vectors, which come from other people's encoders: eth-account's typed data, eth-abi.
contract VectorsTest is Base {
    Json private constant JSON = Json(address(CHEATS));
    string private constant ACKNOWLEDGEMENT_TYPE = "Acknowledgement(bytes32 sessionId,uint32 units,bytes32 journal)";

    TermsHarness private terms;
    MessageHarness private messages;
    string private json;
    mapping(bytes32 typeName => uint256) private seen;

    function setUp() public override {
        super.setUp();
        terms = new TermsHarness();
        messages = new MessageHarness();
    }

    // ------------------------------------------------------------------ the files

    function test_the_words_hashes_and_ids_of_terms_are_those_of_the_vectors() external {
        json = JSON.readFile("tests/vectors/terms.json");
        uint256 count = _count();
        require(count >= 20, "too few");
        for (uint256 i = 0; i < count; ++i) {
            string memory path = _row(i);
            Terms memory t = _readTerms(string.concat(path, ".terms"));
            bytes32[] memory words = JSON.parseJsonBytes32Array(json, string.concat(path, ".packed"));
            PackedTerms memory p = abi.decode(abi.encodePacked(words), (PackedTerms));
            _equal(abi.encode(p), abi.encode(_pack(t)), "packed");
            _equal(abi.encode(terms.unpack(p)), abi.encode(t), "unpacked");
            bytes32 structHash = _bytes32(path, ".structHash");
            _equal(_hashOf(t), structHash, "spelled hash");
            _equal(terms.hash(p), structHash, "hash");
            bytes32 id = _bytes32(path, ".sessionId");
            _equal(_typed(_domain(path), structHash), id, "spelled id");
            _equal(_escrowOf(path).sessionIdOf(p), id, "id");
        }
    }

    function test_the_fees_are_those_of_the_vectors() external {
        json = JSON.readFile("tests/vectors/fees.json");
        uint256 count = _count();
        require(count >= 20, "too few");
        for (uint256 i = 0; i < count; ++i) {
            Terms memory t = _terms();
            t.tariff = _readTariff(string.concat(_row(i), ".tariff"));
            uint256[] memory units = JSON.parseJsonUintArray(json, string.concat(_row(i), ".units"));
            uint256[] memory fees = JSON.parseJsonUintArray(json, string.concat(_row(i), ".fees"));
            require(units.length == fees.length && fees.length >= 5, "fees");
            for (uint256 j = 0; j < units.length; ++j) {
                _equal(terms.fee(_pack(t), uint32(units[j])), fees[j], "fee");
                _equal(escrow.feeOf(_pack(t), uint32(units[j])), fees[j], "feeOf");
            }
        }
    }

    function test_ESC14_the_digests_and_signers_of_messages_are_those_of_the_vectors() external {
        json = JSON.readFile("tests/vectors/messages.json");
        uint256 count = _count();
        for (uint256 i = 0; i < count; ++i) {
            string memory path = _row(i);
            string memory name = JSON.parseJsonString(json, string.concat(path, ".type"));
            ++seen[keccak256(bytes(name))];
            bytes32 separator = _bytes32(path, ".separator");
            _equal(_domain(path), separator, "separator");
            (bytes32 typeHash, bytes memory fields) = _fields(name, string.concat(path, ".message"));
            bytes32 structHash = _bytes32(path, ".structHash");
            bytes32 digest = _bytes32(path, ".digest");
            _equal(keccak256(bytes.concat(typeHash, fields)), structHash, "spelled hash");
            _equal(messages.hash(typeHash, _words(fields)), structHash, "hash");
            _equal(_typed(separator, structHash), digest, "spelled digest");
            _equal(messages.digest(separator, structHash), digest, "digest");
            address signer = JSON.parseJsonAddress(json, string.concat(path, ".signer"));
            bytes memory signature = JSON.parseJsonBytes(json, string.concat(path, ".signature"));
            _equal(messages.refusal(signer, digest, signature), "", "signature");
        }
        _everyMessageIsSeen();
    }

    function _everyMessageIsSeen() private view {
        string[11] memory names = [
            "Acknowledgement",
            "Answer",
            "Closing",
            "Leaving",
            "Opening",
            "Rating",
            "ReceiveWithAuthorization",
            "Revocation",
            "TopUp",
            "Voucher",
            "Withdrawal"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            require(seen[keccak256(bytes(names[i]))] != 0, names[i]);
        }
    }

    // ------------------------------------------------------------------ where a signature counts

    function _domain(string memory path) private view returns (bytes32) {
        string memory name = JSON.parseJsonString(json, string.concat(path, ".domain.name"));
        return _separatorOf(name, _uint(path, ".domain.chainId"), _address(path, ".domain.verifyingContract"));
    }

    /// @dev The shipped escrow, created on the vector's chain at the vector's address.
    function _escrowOf(string memory path) private returns (ISessionEscrow) {
        address where = _address(path, ".domain.verifyingContract");
        CHEATS.chainId(_uint(path, ".domain.chainId"));
        CHEATS.etch(where, _creation("SessionEscrow"));
        (bool done, bytes memory code) = where.call("");
        require(done && code.length > 10_000, "not created");
        CHEATS.etch(where, code);
        return ISessionEscrow(where);
    }

    // ------------------------------------------------------------------ messages, field by field

    function _fields(string memory name, string memory path) private view returns (bytes32 typeHash, bytes memory) {
        bytes32 kind = keccak256(bytes(name));
        if (kind == keccak256("Opening")) {
            typeHash = keccak256(abi.encodePacked("Opening(Terms terms,uint80 deposit)", TARIFF_TYPE, TERMS_TYPE));
            return (typeHash, abi.encode(_hashOf(_readTerms(string.concat(path, ".terms"))), _uint(path, ".deposit")));
        }
        if (kind == keccak256("Withdrawal")) return (_type(WITHDRAWAL_TYPE), _withdrawal(path));
        if (kind == keccak256("ReceiveWithAuthorization")) return (_type(RECEIVE_TYPE), _receive(path));
        return _ofSession(kind, path, _bytes32(path, ".sessionId"));
    }

    function _ofSession(bytes32 kind, string memory path, bytes32 id) private view returns (bytes32, bytes memory) {
        if (kind == keccak256("Leaving")) return (_type(LEAVING_TYPE), abi.encode(id));
        if (kind == keccak256("Revocation")) return (_type(REVOCATION_TYPE), abi.encode(id));
        if (kind == keccak256("Answer")) return (_type(ANSWER_TYPE), abi.encode(id, _bytes32(path, ".answerHash")));
        if (kind == keccak256("TopUp")) return (_type(TOP_UP_TYPE), abi.encode(id, _uint(path, ".deposit")));
        if (kind == keccak256("Rating")) {
            return (_type(RATING_TYPE), abi.encode(id, _uint(path, ".score"), _bytes32(path, ".commentHash")));
        }
        uint256 units = _uint(path, ".units");
        if (kind == keccak256("Closing")) {
            bytes32 journal = _bytes32(path, ".journal");
            return (_type(CLOSING_TYPE), abi.encode(id, units, journal, _uint(path, ".deadline")));
        }
        bytes memory reading = abi.encode(id, units, _bytes32(path, ".journal"));
        if (kind == keccak256("Voucher")) return (_type(VOUCHER_TYPE), reading);
        require(kind == keccak256("Acknowledgement"), "a message without a spelling here");
        return (_type(ACKNOWLEDGEMENT_TYPE), reading);
    }

    function _withdrawal(string memory path) private view returns (bytes memory) {
        return abi.encode(
            _address(path, ".account"),
            _address(path, ".token"),
            _uint(path, ".amount"),
            _address(path, ".to"),
            _uint(path, ".nonce"),
            _uint(path, ".deadline")
        );
    }

    function _receive(string memory path) private view returns (bytes memory) {
        return abi.encode(
            _address(path, ".from"),
            _address(path, ".to"),
            _uint(path, ".value"),
            _uint(path, ".validAfter"),
            _uint(path, ".validBefore"),
            _bytes32(path, ".nonce")
        );
    }

    // ------------------------------------------------------------------ reading

    function _row(uint256 i) private pure returns (string memory) {
        return string.concat("$[", JSON.toString(i), "]");
    }

    function _count() private view returns (uint256 count) {
        while (JSON.keyExistsJson(json, _row(count))) ++count;
    }

    function _uint(string memory path, string memory field) private view returns (uint256) {
        return JSON.parseJsonUint(json, string.concat(path, field));
    }

    function _address(string memory path, string memory field) private view returns (address) {
        return JSON.parseJsonAddress(json, string.concat(path, field));
    }

    function _bytes32(string memory path, string memory field) private view returns (bytes32) {
        return JSON.parseJsonBytes32(json, string.concat(path, field));
    }

    function _words(bytes memory data) private pure returns (bytes32[] memory words) {
        words = new bytes32[](data.length / 32);
        for (uint256 i = 0; i < words.length; ++i) {
            assembly ("memory-safe") {
                mstore(add(words, mul(add(i, 1), 32)), mload(add(data, mul(add(i, 1), 32))))
            }
        }
    }

    function _readTariff(string memory path) private view returns (Tariff memory a) {
        a.connectFee = uint80(_uint(path, ".connectFee"));
        a.unitPrice = uint80(_uint(path, ".unitPrice"));
        a.unitSeconds = uint32(_uint(path, ".unitSeconds"));
        a.includedUnits = uint32(_uint(path, ".includedUnits"));
        a.stepUnits = uint32(_uint(path, ".stepUnits"));
        a.stepPrice = uint80(_uint(path, ".stepPrice"));
        a.maxUnits = uint32(_uint(path, ".maxUnits"));
    }

    function _readTerms(string memory path) private view returns (Terms memory t) {
        t.client = _address(path, ".client");
        t.payer = _address(path, ".payer");
        t.advisor = _address(path, ".advisor");
        t.meterKey = _address(path, ".meterKey");
        t.token = _address(path, ".token");
        t.tariff = _readTariff(string.concat(path, ".tariff"));
        t.feeBps = uint16(_uint(path, ".feeBps"));
        t.feeRecipient = _address(path, ".feeRecipient");
        t.openBefore = uint40(_uint(path, ".openBefore"));
        t.closeGrace = uint24(_uint(path, ".closeGrace"));
        t.context = _bytes32(path, ".context");
        t.salt = uint96(_uint(path, ".salt"));
    }
}
