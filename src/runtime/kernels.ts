import type { AttentionKernels } from "../attention/kernels.js";
import type { SamplingKernels } from "../generate/kernels.js";
import type { MatmulKernels } from "../matmul/kernels.js";
import type { OpsKernels } from "../model/kernels.js";

/**
 * Every exported WebAssembly function, typed beside the code that calls it. Pointers are byte addresses in the one
 * linear memory, passed as numbers (addresses of 2 GiB and more are fine: WebAssembly takes them modulo 2³²).
 */
export interface Kernels extends MatmulKernels, AttentionKernels, OpsKernels, SamplingKernels {}
