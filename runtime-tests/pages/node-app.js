import { loadModel } from "deltallm";

// A program bundled into one file, with its model beside it.
const model = await loadModel(process.argv[2], { threads: 1 });
for await (const { text } of model.generate("Once upon a time", { maxTokens: 8, temperature: 0 })) console.log(text);
await model.dispose();
