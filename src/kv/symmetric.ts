/**
 * Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations: + − × ÷ √ only, so every machine gets the
 * same bits. Largest eigenvalue first; row i of `vectors` belongs to value i.
 * @param matrix row-major [n · n], not changed
 */
export function eigenSymmetric(matrix: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  // Rows at an odd distance: at a power of two the numbers of a column compete for the same lines of the caches.
  const rows: Rows = { a: new Float64Array(n * (n | 1)), v: new Float64Array(n * (n | 1)), n, stride: n | 1 };
  const { a, v, stride } = rows;
  let trace = 0;
  for (let i = 0; i < n; i++) {
    a.set(matrix.subarray(i * n, (i + 1) * n), i * stride);
    v[i * stride + i] = 1;
    trace += Math.abs(a[i * stride + i] as number);
  }
  const tiny = (trace / n) * 1e-13;
  for (let sweep = 0; sweep < 30; sweep++) {
    let turned = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = a[p * stride + q] as number;
        if (Math.abs(off) <= tiny) continue;
        turned = true;
        const theta = ((a[q * stride + q] as number) - (a[p * stride + p] as number)) / (2 * off);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        rotate(rows, p, q, c, t * c);
      }
      for (let i = 0; i < n; i++) a[i * stride + p] = a[p * stride + i] as number;
    }
    if (!turned) break;
  }
  const order = Array.from({ length: n }, (_, i) => i).sort(
    (i, j) => (a[j * stride + j] as number) - (a[i * stride + i] as number) || i - j,
  );
  const values = Float64Array.from(order, (i) => a[i * stride + i] as number);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => {
    vectors.set(v.subarray(from * stride, from * stride + n), to * n);
  });
  return { values, vectors };
}

/** Two n × n matrices whose rows are `stride` numbers apart. */
interface Rows {
  a: Float64Array;
  v: Float64Array;
  n: number;
  stride: number;
}

/** A ← JᵀAJ for the rotation J in the plane (p, q), but for column p, which nothing reads meanwhile; rows p and q of V turn with it. */
function rotate({ a, v, n, stride }: Rows, p: number, q: number, c: number, s: number): void {
  const rowP = p * stride;
  const rowQ = q * stride;
  const app = a[rowP + p] as number;
  const aqq = a[rowQ + q] as number;
  const apq = a[rowP + q] as number;
  for (let i = 0; i < n; i++) {
    const x = v[rowP + i] as number;
    const y = v[rowQ + i] as number;
    v[rowP + i] = c * x - s * y;
    v[rowQ + i] = s * x + c * y;
    const ap = a[rowP + i] as number;
    const aq = a[rowQ + i] as number;
    const turned = s * ap + c * aq;
    a[rowP + i] = c * ap - s * aq;
    a[rowQ + i] = turned;
    a[i * stride + q] = turned;
  }
  a[rowP + p] = c * c * app - 2 * c * s * apq + s * s * aqq;
  a[rowQ + q] = s * s * app + 2 * c * s * apq + c * c * aqq;
  a[rowP + q] = 0;
}

/** Product of two row-major n × n matrices. */
export function multiply(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < n; k++) {
      const x = a[i * n + k] as number;
      for (let j = 0; j < n; j++) (out[i * n + j] as number) += x * (b[k * n + j] as number);
    }
  return out;
}

/** Inverse by Gauss–Jordan elimination with row pivots, or undefined when the matrix is singular. */
export function invert(matrix: Float64Array, n: number): Float64Array | undefined {
  const a = matrix.slice();
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) out[i * n + i] = 1;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column + 1; row < n; row++)
      if (Math.abs(a[row * n + column] as number) > Math.abs(a[pivot * n + column] as number)) pivot = row;
    const head = a[pivot * n + column] as number;
    if (!(Math.abs(head) > 0) || !Number.isFinite(head)) return undefined;
    for (const m of [a, out])
      for (let j = 0; j < n; j++) {
        const x = m[pivot * n + j] as number;
        m[pivot * n + j] = m[column * n + j] as number;
        m[column * n + j] = x / head;
      }
    for (let row = 0; row < n; row++) {
      const factor = a[row * n + column] as number;
      if (row === column || factor === 0) continue;
      for (const m of [a, out])
        for (let j = 0; j < n; j++) (m[row * n + j] as number) -= factor * (m[column * n + j] as number);
    }
  }
  return out;
}
