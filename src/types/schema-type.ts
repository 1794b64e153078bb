/**
 * The type of the values a JSON Schema describes, for a schema whose type is literal (`as const`, or written in the call):
 * `type`, `enum`, `const`, `properties` with `required`, `items`, `anyOf` and `oneOf`. `unknown` for everything else.
 */
export type FromSchema<Schema> = Schema extends { readonly const: infer Value }
  ? Value
  : Schema extends { readonly enum: readonly (infer Value)[] }
    ? Value
    : Schema extends { readonly anyOf: readonly (infer Option)[] } | { readonly oneOf: readonly (infer Option)[] }
      ? FromSchema<Option>
      : Schema extends { readonly type: readonly (infer Name)[] }
        ? FromType<Schema, Name>
        : Schema extends { readonly type: infer Name }
          ? FromType<Schema, Name>
          : unknown;

type FromType<Schema, Name> = Name extends "string"
  ? string
  : Name extends "number" | "integer"
    ? number
    : Name extends "boolean"
      ? boolean
      : Name extends "null"
        ? null
        : Name extends "array"
          ? Schema extends { readonly items: infer Item }
            ? FromSchema<Item>[]
            : unknown[]
          : Name extends "object"
            ? FromObject<Schema>
            : unknown;

type FromObject<Schema> = Schema extends { readonly properties: infer Properties }
  ? Schema extends { readonly required: readonly (infer Required)[] }
    ? { -readonly [Key in Extract<keyof Properties, Required>]: FromSchema<Properties[Key]> } & {
        -readonly [Key in Exclude<keyof Properties, Required>]?: FromSchema<Properties[Key]>;
      }
    : { -readonly [Key in keyof Properties]?: FromSchema<Properties[Key]> }
  : Record<string, unknown>;
