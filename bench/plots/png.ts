import { deflateSync } from "node:zlib";

/**
 * A picture of at most 16 colours as a PNG file.
 * @param pixels indices into `colours`, row by row; the width is even
 * @param colours `#rrggbb`
 */
export function png(pixels: Uint8Array, width: number, colours: readonly string[]): Buffer {
  const height = pixels.length / width;
  const rows = Buffer.alloc(height * (1 + width / 2));
  // Each row begins with its filter: none.
  for (let y = 0, at = 0; y < height; y++) {
    at++;
    for (let x = 0; x < width; x += 2) {
      const [left, right] = pixels.subarray(y * width + x, y * width + x + 2) as unknown as [number, number];
      rows[at++] = (left << 4) | right;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([4, 3], 8);
  const palette = Buffer.from(colours.map((colour) => colour.slice(1)).join(""), "hex");
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", header),
    chunk("PLTE", palette),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

function crc32(bytes: Buffer): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ -1) >>> 0;
}
