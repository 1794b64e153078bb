export { calibration_dots, calibration_outer } from "./products";
export { calibration_codes, calibration_walk_block, calibration_walk_elements } from "./walk";
export { calibration_outputs, calibration_squares, calibration_weights } from "./weights";
