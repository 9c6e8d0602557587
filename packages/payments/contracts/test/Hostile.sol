// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {GranaryChannels} from "../GranaryChannels.sol";

/// A payer and payee that calls back into the channels whenever it is paid or asked for a balance, and a
/// token that keeps a tenth of every transfer, returns false, or calls back: as it is told.
contract Hostile {
    GranaryChannels public channels;
    bytes public payload;
    bool public reentered;
    bool public refuse;
    uint256 public fee;
    bool public lie;
    mapping(address => uint256) public balances;

    constructor(GranaryChannels target) {
        channels = target;
    }

    function arm(bytes calldata call) external {
        payload = call;
    }

    function set(bool doRefuse, bool doLie, uint256 newFee) external {
        refuse = doRefuse;
        lie = doLie;
        fee = newFee;
    }

    function run(bytes calldata call) external payable returns (bytes memory) {
        (bool done, bytes memory result) = address(channels).call{value: msg.value}(call);
        if (!done) {
            assembly {
                revert(add(result, 32), mload(result))
            }
        }
        return result;
    }

    receive() external payable {
        require(!refuse, "refused");
        strike();
    }

    function strike() private {
        if (payload.length == 0) return;
        (bool done,) = address(channels).call(payload);
        if (done) reentered = true;
    }

    function mint(address to, uint256 amount) external {
        balances[to] += amount;
    }

    function balanceOf(address account) external view returns (uint256) {
        return balances[account];
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balances[msg.sender] -= amount;
        balances[to] += amount - fee;
        strike();
        return !lie;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        balances[from] -= amount;
        balances[to] += amount - fee;
        strike();
        return !lie;
    }
}
