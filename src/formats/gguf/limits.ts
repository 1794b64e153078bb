/**
 * What a GGUF header may claim. Every figure is far above any published model and far below what would hurt: a header
 * that says more is damaged or hostile. Lengths are also checked against the bytes the file really has.
 */

/** Bytes of one metadata key. The format allows 65535. */
export const MAX_KEY_BYTES = 65_535;
/** Bytes of one tensor name. The reference reader refuses 64 and more. */
export const MAX_TENSOR_NAME_BYTES = 63;
/** Bytes of one string that is kept. Chat templates have some kB, tokens a few bytes. */
export const MAX_STRING_BYTES = 2 ** 20;
/** Longer string values are passed over unread: some files embed a whole tokenizer.json of up to 35 MB. */
export const MAX_SKIPPED_STRING_BYTES = 128 * 2 ** 20;
/** Metadata entries. Published models have 20 to 100. */
export const MAX_METADATA_ENTRIES = 65_536;
/** Elements of one metadata array. The largest known vocabularies have 262,144 tokens and some 500,000 merges. */
export const MAX_ARRAY_ELEMENTS = 4 * 2 ** 20;
/** Tensors. A model of 128 layers with 12 tensors each has some 1,500. */
export const MAX_TENSORS = 65_536;
/** Dimensions of a tensor: the format has four. */
export const MAX_DIMENSIONS = 4;
/** Bytes of the whole header. A vocabulary of 128,256 tokens with its merges takes 10 MB. */
export const MAX_HEADER_BYTES = 256 * 2 ** 20;
/** Largest `general.alignment`. Files use 32, some 64 or 4096. */
export const MAX_ALIGNMENT = 2 ** 20;
/** First read: the header of a small model in one request. Later reads double up to `LARGEST_CHUNK_BYTES`. */
export const FIRST_CHUNK_BYTES = 64 * 2 ** 10;
/** Largest read while parsing the header; bounds the memory the parser holds. */
export const LARGEST_CHUNK_BYTES = 2 * 2 ** 20;
