export { noLab } from './no-lab.js';
export { NatLab } from './nat-lab.js';
export { Home, type HomeOptions } from './home.js';
export { LabHost, type LabProcess } from './lab-host.js';
export { must, run, type CommandOptions, type Finished } from './command.js';
