import { test } from "uvu";
import * as assert from "uvu/assert";
import { FormatError } from "#src/errors.js";
import { MAX_HEADER_BYTES, readSafetensorsHeader } from "#src/formats/safetensors/header.js";
import { bytesSource } from "#src/formats/sources/bytes.js";
import { wrapSafetensors, writeSafetensors } from "../helpers/safetensors-writer.js";
import { zeros } from "../helpers/tiny-huggingface.js";
import { rejection } from "./source-conformance.js";

const read = (bytes: Uint8Array) => readSafetensorsHeader(bytesSource(bytes));
const data = new Uint8Array(64);

test("tensors in the order of their bytes, with absolute offsets", async () => {
  const bytes = writeSafetensors({ z: zeros("F32", 2, 3), a: zeros("BF16", 5), scalar: zeros("F16") });
  const { tensors, metadata } = await read(bytes);
  assert.equal(metadata, { format: "pt" });
  const first = bytes.length - 24 - 10 - 2;
  assert.equal(tensors, [
    { name: "z", dtype: "F32", shape: [2, 3], offset: first, byteLength: 24 },
    { name: "a", dtype: "BF16", shape: [5], offset: first + 24, byteLength: 10 },
    { name: "scalar", dtype: "F16", shape: [], offset: first + 34, byteLength: 2 },
  ]);
});

test("a padded header and empty tensors are valid", async () => {
  const header = `{"a":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[64],"data_offsets":[0,64]}}   `;
  assert.is((await read(wrapSafetensors(header, data))).tensors.length, 2);
});

const tensor = (dtype: unknown, shape: unknown, offsets: unknown) =>
  JSON.stringify({ a: { dtype, shape, data_offsets: offsets } });

const refused: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ["an empty file", new Uint8Array(0), /only 0 bytes/],
  ["a length beyond the file", wrapSafetensors("{}", data, 1000n), /claims 1000 bytes/],
  ["a length beyond belief", wrapSafetensors("{}", data, 2n ** 63n), /claims 9223372036854775808 bytes/],
  ["no JSON", wrapSafetensors("{]", data), /not JSON/],
  ["no UTF-8", wrapSafetensors("{}", data, 60n), /not JSON/],
  ["a list", wrapSafetensors("[]", data), /not a JSON object/],
  ["an entry that is no object", wrapSafetensors('{"a":1}', data), /not an object/],
  ["an unknown dtype", wrapSafetensors(tensor("F31", [1], [0, 4]), data), /dtype "F31"/],
  ["no dtype", wrapSafetensors('{"a":{}}', data), /dtype undefined/],
  ["a negative length", wrapSafetensors(tensor("U8", [-1], [0, 64]), data), /shape is \[-1\]/],
  ["a broken length", wrapSafetensors(tensor("U8", [0.5], [0, 64]), data), /shape is/],
  ["a huge shape", wrapSafetensors(tensor("F32", [2 ** 40, 2 ** 40], [0, 64]), data), /takes/],
  ["one offset", wrapSafetensors(tensor("U8", [64], [0]), data), /offsets are \[0\]/],
  ["offsets in the wrong order", wrapSafetensors(tensor("U8", [64], [64, 0]), data), /gives -64/],
  [
    "bytes that do not fit the shape",
    wrapSafetensors(tensor("F32", [4, 4], [0, 32]), data),
    /takes 64 bytes, the header gives 32/,
  ],
  ["a tensor beyond the file", wrapSafetensors(tensor("U8", [128], [0, 128]), data), /the file at/],
  ["bytes of no tensor", wrapSafetensors(tensor("U8", [32], [0, 32]), data), /tensors end at/],
  ["a gap", wrapSafetensors(tensor("U8", [32], [32, 64]), data), /belong to no tensor/],
  [
    "an overlap",
    wrapSafetensors(
      '{"a":{"dtype":"U8","shape":[40],"data_offsets":[0,40]},"b":{"dtype":"U8","shape":[40],"data_offsets":[24,64]}}',
      data,
    ),
    /overlaps/,
  ],
];
for (const [what, bytes, message] of refused) {
  test(`refused: ${what}`, async () => {
    const error = await rejection(read(bytes));
    assert.instance(error, FormatError, error.stack);
    assert.match(error.message, message);
  });
}

test("a header over the limit is not read", async () => {
  let asked = 0;
  const first = new Uint8Array(8);
  new DataView(first.buffer).setBigUint64(0, BigInt(MAX_HEADER_BYTES + 1), true);
  const source = {
    name: "huge",
    size: 2 ** 40,
    async read(_offset: number, length: number) {
      asked += length;
      return first.slice(0, length);
    },
  };
  assert.match((await rejection(readSafetensorsHeader(source))).message, /at most 100000000 are allowed/);
  assert.is(asked, 8);
});

test.run();
