"""The openai package of PyPI against the server: chat, stream, structured output, tools, errors."""
import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
messages = [{"role": "user", "content": "Tell me a story."}]

answer = client.chat.completions.create(model="story", messages=messages, seed=4, max_tokens=24)
text = answer.choices[0].message.content
assert len(text) > 10 and answer.usage.completion_tokens == 24, answer

stream = client.chat.completions.create(
    model="story", messages=messages, seed=4, max_tokens=24, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
assert chunks[-1].usage.completion_tokens == 24

schema = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
answer = client.chat.completions.create(
    model="story",
    messages=messages,
    max_tokens=200,
    response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}},
)
assert set(json.loads(answer.choices[0].message.content)) == {"name", "age"}

tools = [{"type": "function", "function": {"name": "look", "parameters": schema}}]
answer = client.chat.completions.create(
    model="story", messages=messages, max_tokens=200, tools=tools, tool_choice="required"
)
call = answer.choices[0].message.tool_calls[0]
assert call.function.name == "look" and "age" in json.loads(call.function.arguments), call

response = client.responses.create(model="story", input="Hello", max_output_tokens=8)
assert response.output_text and response.usage.output_tokens == 8

vectors = client.embeddings.create(model="story", input=["A dog", "A cat"]).data
assert len(vectors) == 2 and abs(sum(x * x for x in vectors[0].embedding) - 1) < 1e-4

broken = client.chat.completions.create(model="story", messages=messages, seed=4, max_tokens=500, stream=True)
for count, _ in enumerate(broken):
    if count == 3:
        broken.close()
        break

assert "story" in [model.id for model in client.models.list()]
try:
    client.chat.completions.create(model="none", messages=messages)
    raise SystemExit("an unknown model answered")
except openai.NotFoundError as error:
    assert error.param == "model"
