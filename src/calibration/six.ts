/** Six digits are enough, and keep the file small. */
export const six = (x: number) => Number(x.toPrecision(6));
