// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

interface IERC20 {
    function balanceOf(address account) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// Unidirectional payment channels for any ERC-20 token and the native coin. No owner, no upgrade, no
/// fee: nobody but the two sides of a channel can move what is in it.
///
/// A payer puts a deposit into a channel and signs cumulative vouchers (EIP-712) outside the chain; the
/// payee redeems the highest one whenever it likes. A payer that wants its rest back says so, waits for
/// the channel's challenge period, in which the payee can still redeem, and then withdraws. Whatever is
/// told twice happens once: amounts are sums, never differences.
contract GranaryChannels {
    struct Channel {
        address payer;
        uint48 challenge; // seconds that the payee has once the payer wants to close
        uint48 closesAt; // when the rest may be withdrawn; 0: nobody wants to close
        address payee;
        bool closed; // for good: the ID is never used again, so that no old voucher comes to life
        address token; // 0: the native coin
        uint256 deposit; // all that was paid in
        uint256 redeemed; // all that was paid out to the payee
    }

    uint48 public constant MAX_CHALLENGE = 90 days;
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant VOUCHER_TYPE = keccak256("Voucher(bytes32 channel,uint256 amount)");
    bytes32 private constant NAME = keccak256("Granary channels");
    bytes32 private constant VERSION = keccak256("1");
    // s at most half the order of secp256k1: else there would be two signatures for a voucher (EIP-2).
    uint256 private constant MAX_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    mapping(bytes32 id => Channel) private channels;
    bool private transient entered;

    event Opened(bytes32 indexed id, address indexed payer, address indexed payee, address token, uint256 deposit);
    event ToppedUp(bytes32 indexed id, uint256 deposit);
    event Redeemed(bytes32 indexed id, uint256 redeemed);
    event Closing(bytes32 indexed id, uint48 closesAt);
    event Closed(bytes32 indexed id, uint256 refund);

    error Reentered();
    error Exists();
    error NotOpen();
    error NotYours();
    error BadTerms();
    error BadDeposit();
    error BadVoucher();
    error TooEarly();
    error TransferFailed();

    modifier once() {
        if (entered) revert Reentered();
        entered = true;
        _;
        entered = false;
    }

    /// The ID of a channel: bound to this contract and chain by the voucher's domain.
    function channelId(address payer, address payee, address token, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(payer, payee, token, salt));
    }

    function channel(bytes32 id) external view returns (Channel memory) {
        return channels[id];
    }

    /// Open a channel to `payee` with a deposit. The same salt opens the same channel, once.
    function open(address payee, address token, bytes32 salt, uint48 challenge, uint256 deposit)
        external
        payable
        once
        returns (bytes32 id)
    {
        id = channelId(msg.sender, payee, token, salt);
        Channel storage c = channels[id];
        if (c.payer != address(0)) revert Exists();
        if (payee == address(0) || challenge > MAX_CHALLENGE) revert BadTerms();
        c.payer = msg.sender;
        c.payee = payee;
        c.token = token;
        c.challenge = challenge;
        c.deposit = deposit;
        take(token, deposit);
        emit Opened(id, msg.sender, payee, token, deposit);
    }

    /// Raise the deposit from what it is to a sum. Anybody may pay. A second try of the same fails.
    function topUp(bytes32 id, uint256 from, uint256 to) external payable once {
        Channel storage c = channels[id];
        if (c.payer == address(0) || c.closed) revert NotOpen();
        if (c.deposit != from || to <= from) revert BadDeposit();
        c.deposit = to;
        take(c.token, to - from);
        emit ToppedUp(id, to);
    }

    /// Pay the payee up to the voucher's amount, or the deposit if that is less. Anybody may hand it in.
    function redeem(bytes32 id, uint256 amount, bytes32 r, bytes32 vs) external once {
        Channel storage c = channels[id];
        if (c.payer == address(0) || c.closed) revert NotOpen();
        if (signerOf(id, amount, r, vs) != c.payer) revert BadVoucher();
        uint256 sum = amount < c.deposit ? amount : c.deposit;
        uint256 before = c.redeemed;
        if (sum <= before) revert BadVoucher();
        c.redeemed = sum;
        emit Redeemed(id, sum);
        give(c.token, c.payee, sum - before);
    }

    /// The payer wants its rest back: the challenge period begins.
    function requestClose(bytes32 id) external {
        Channel storage c = channels[id];
        if (c.payer != msg.sender) revert NotYours();
        if (c.closed || c.closesAt != 0) revert NotOpen();
        c.closesAt = uint48(block.timestamp) + c.challenge;
        emit Closing(id, c.closesAt);
    }

    /// The payee lets the payer have its rest at once.
    function release(bytes32 id) external {
        Channel storage c = channels[id];
        if (c.payee != msg.sender) revert NotYours();
        if (c.closed) revert NotOpen();
        c.closesAt = uint48(block.timestamp);
        emit Closing(id, c.closesAt);
    }

    /// Send the rest to the payer and close for good. Anybody may call it when it is time.
    function withdraw(bytes32 id) external once {
        Channel storage c = channels[id];
        if (c.payer == address(0) || c.closed) revert NotOpen();
        if (c.closesAt == 0 || block.timestamp < c.closesAt) revert TooEarly();
        c.closed = true;
        uint256 refund = c.deposit - c.redeemed;
        emit Closed(id, refund);
        give(c.token, c.payer, refund);
    }

    function signerOf(bytes32 id, uint256 amount, bytes32 r, bytes32 vs) private view returns (address) {
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, NAME, VERSION, block.chainid, address(this)));
        bytes32 digest =
            keccak256(abi.encodePacked(hex"1901", domain, keccak256(abi.encode(VOUCHER_TYPE, id, amount))));
        uint256 s = uint256(vs) & (type(uint256).max >> 1);
        if (s > MAX_S) revert BadVoucher();
        address signer = ecrecover(digest, uint8(uint256(vs) >> 255) + 27, r, bytes32(s));
        if (signer == address(0)) revert BadVoucher();
        return signer;
    }

    /// Take exactly `amount`: a token that keeps a part for itself on the way is refused.
    function take(address token, uint256 amount) private {
        if (token == address(0)) {
            if (msg.value != amount) revert BadDeposit();
            return;
        }
        if (msg.value != 0) revert BadDeposit();
        if (amount == 0) return;
        uint256 before = IERC20(token).balanceOf(address(this));
        callToken(token, abi.encodeCall(IERC20.transferFrom, (msg.sender, address(this), amount)));
        if (IERC20(token).balanceOf(address(this)) != before + amount) revert BadDeposit();
    }

    function give(address token, address to, uint256 amount) private {
        if (amount == 0) return;
        if (token == address(0)) {
            (bool sent,) = to.call{value: amount}("");
            if (!sent) revert TransferFailed();
        } else {
            callToken(token, abi.encodeCall(IERC20.transfer, (to, amount)));
        }
    }

    /// Some tokens return nothing where ERC-20 wants a bool; none may return false.
    function callToken(address token, bytes memory data) private {
        (bool done, bytes memory result) = token.call(data);
        if (!done || token.code.length == 0 || (result.length != 0 && !abi.decode(result, (bool)))) {
            revert TransferFailed();
        }
    }
}
