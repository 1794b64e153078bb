/**
 * The npm package under a JSR name. The package brings files besides its code (the embedded model, worker scripts), which
 * have to lie on a disk; JSR modules lie behind URLs.
 * @module
 */
export * from "npm:deltallm@0.1.0";
