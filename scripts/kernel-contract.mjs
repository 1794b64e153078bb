// Writes what TypeScript must know of assembly/ as TypeScript: the records and constants of assembly/abi and the
// signatures of all kernels, with their comments. Nothing of it is written by hand twice.
import { NodeKind } from "assemblyscript";
import asc from "assemblyscript/asc";
import binaryen from "assemblyscript/binaryen";

/** How a field of a record is read and written, and what it is in TypeScript. */
const fieldKinds = {
  usize: "Uint32",
  u32: "Uint32",
  isize: "Int32",
  i32: "Int32",
  u16: "Uint16",
  i16: "Int16",
  u8: "Uint8",
  i8: "Int8",
  bool: "Uint8",
  f32: "Float32",
  f64: "Float64",
};
const valueKinds = { ...fieldKinds, bool: "boolean | number", i64: "bigint", u64: "bigint", void: "void" };

/** The text of src/kernels/generated.ts. */
export async function kernelContract(stamp) {
  let program;
  let text;
  const transform = {
    afterInitialize(initialized) {
      program = initialized;
    },
    afterCompile(module) {
      text = [stamp, HEAD, ...abi(program, module), ...kernels(program)].join("\n");
    },
  };
  const { error, stderr } = await asc.main(
    [
      "assembly/index.ts",
      "assembly/abi/index.ts",
      "assembly/abi/scratch.ts",
      "--config",
      "asconfig.json",
      "--target",
      "simd",
      "--noEmit",
    ],
    { transforms: [transform] },
  );
  if (error) throw new Error(`${error.message}\n${stderr}`);
  return text;
}

const HEAD = "// Written by scripts/build-kernels.mjs from assembly/; not committed.\n";

/** Records and constants of assembly/abi. */
function abi(program, module) {
  const lines = [];
  for (const file of program.filesByName.values()) {
    if (!file.internalName.startsWith("assembly/abi/") || !file.exports) continue;
    for (const [name, element] of file.exports) {
      const { kind } = element.declaration;
      if (kind === NodeKind.ClassDeclaration) lines.push(...record(name, element, program), "");
      else if (kind === NodeKind.VariableDeclaration) lines.push(...constant(name, element, module), "");
    }
  }
  return lines;
}

function record(name, prototype, program) {
  const instance = program.resolver.resolveClass(prototype, null);
  const fields = [...instance.members.values()].flatMap((member) => {
    const property = member.instance ?? member;
    if (property.memoryOffset === undefined || property.memoryOffset < 0) return [];
    const type = property.type.toString();
    // A record in a record is its address.
    const kind = fieldKinds[type] ?? (property.type.isUnmanaged ? fieldKinds.usize : undefined);
    if (!kind) throw new Error(`${name}.${member.name}: a field of type ${type} is not supported in records`);
    return [
      {
        name: member.name,
        at: property.memoryOffset,
        kind,
        comment: commentOf(member.fieldDeclaration ?? member.declaration),
      },
    ];
  });
  const access = ({ kind }) => (kind.endsWith("8") ? "" : ", true");
  return [
    ...comment(commentOf(prototype.declaration), ""),
    `export interface ${name} {`,
    ...fields.flatMap((field) => [...comment(field.comment, "  "), `  ${field.name}: number;`]),
    "}",
    `export const ${name} = {`,
    `  bytes: ${Math.ceil(instance.nextMemoryOffset / 4) * 4},`,
    `  /** Offsets of the fields. */`,
    `  at: { ${fields.map((field) => `${field.name}: ${field.at}`).join(", ")} },`,
    `  write(view: DataView, address: number, record: Readonly<${name}>): void {`,
    ...fields.map((field) => `    view.set${field.kind}(address + ${field.at}, record.${field.name}${access(field)});`),
    "  },",
    `  read(view: DataView, address: number): ${name} {`,
    "    return {",
    ...fields.map((field) => `      ${field.name}: view.get${field.kind}(address + ${field.at}${access(field)}),`),
    "    };",
    "  },",
    "} as const;",
  ];
}

function constant(name, element, module) {
  const init = binaryen._BinaryenGlobalGetInitExpr(module.getGlobal(element.internalName));
  const type = element.type.toString();
  const value =
    type === "f32"
      ? binaryen._BinaryenConstGetValueF32(init)
      : type === "f64"
        ? binaryen._BinaryenConstGetValueF64(init)
        : binaryen._BinaryenConstGetValueI32(init);
  return [...comment(commentOf(element.declaration), ""), `export const ${name} = ${value};`];
}

/** Every function that the module exports. */
function kernels(program) {
  const found = new Map();
  const collect = (file) => {
    for (const [name, element] of file.exports ?? []) found.set(name, element);
    for (const star of file.exportsStar ?? []) collect(star);
  };
  collect(program.filesByName.get("assembly/index"));
  const lines = ["/** The kernels of a build: every export of assembly/index.ts. */", "export type Kernels = {"];
  for (const [name, element] of [...found].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { kind, signature } = element.declaration;
    if (kind === NodeKind.VariableDeclaration) lines.push(`  readonly ${name}: WebAssembly.Global;`);
    if (kind !== NodeKind.FunctionDeclaration || !element.instances) continue;
    const instance = element.instances.values().next().value;
    if (!instance) continue;
    const { parameterTypes, returnType } = instance.signature;
    const parameters = signature.parameters.map(
      (parameter, i) => `${parameter.name.text}: ${valueType(parameterTypes[i], name)}`,
    );
    lines.push(...comment(commentOf(element.declaration), "  "));
    lines.push(`  ${name}(${parameters.join(", ")}): ${valueType(returnType, name)};`);
  }
  return [...lines, "};", ""];
}

/** Records are passed by address. */
function valueType(type, name) {
  const kind = type.classReference ? "address" : valueKinds[type.toString()];
  if (!kind) throw new Error(`${name}: a kernel cannot take or return ${type}`);
  return /^[a-z]/.test(kind) && kind !== "address" ? kind : "number";
}

/** The doc comment directly before a declaration, without its frame. */
function commentOf({ range }) {
  const before = range.source.text
    .slice(0, range.start)
    .replace(/(\s|export|@\w+(\([^)]*\))?|\/\/ @ts-ignore.*)*$/, "");
  if (!before.endsWith("*/")) return "";
  return before
    .slice(before.lastIndexOf("/**") + 3, -2)
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim();
}

function comment(text, indent) {
  if (!text) return [];
  const lines = text.split("\n");
  if (lines.length === 1) return [`${indent}/** ${text} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`];
}
