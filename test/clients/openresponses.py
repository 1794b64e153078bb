"""/v1/responses against the types of the OpenResponses specification: every body and every event must be of them.

The cases are those of the specification's compliance program (text, stream, system prompt, tool call whole and
streamed, several turns) and what else the server can do. Pictures are not supported, and refused as it should be. The
small model calls no tool of its own will, so that the choice is forced here.
"""
import json
import sys
import urllib.error
import urllib.request

from openresponses_types import types

base, key = sys.argv[1:3]
events = {
    "response.created": types.ResponseCreatedStreamingEvent,
    "response.in_progress": types.ResponseInProgressStreamingEvent,
    "response.completed": types.ResponseCompletedStreamingEvent,
    "response.incomplete": types.ResponseIncompleteStreamingEvent,
    "response.failed": types.ResponseFailedStreamingEvent,
    "response.output_item.added": types.ResponseOutputItemAddedStreamingEvent,
    "response.output_item.done": types.ResponseOutputItemDoneStreamingEvent,
    "response.content_part.added": types.ResponseContentPartAddedStreamingEvent,
    "response.content_part.done": types.ResponseContentPartDoneStreamingEvent,
    "response.output_text.delta": types.ResponseOutputTextDeltaStreamingEvent,
    "response.output_text.done": types.ResponseOutputTextDoneStreamingEvent,
    "response.function_call_arguments.delta": types.ResponseFunctionCallArgumentsDeltaStreamingEvent,
    "response.function_call_arguments.done": types.ResponseFunctionCallArgumentsDoneStreamingEvent,
    "error": types.ErrorStreamingEvent,
}


def send(body):
    # Every request is one of the specification as well; the seed is beside it, so that answers are always the same.
    types.CreateResponseBody.model_validate(body)
    request = urllib.request.Request(
        f"{base}/responses",
        json.dumps({"model": "story", "seed": 0, **body}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
    )
    return urllib.request.urlopen(request, timeout=60)


def whole(body):
    with send(body) as answer:
        assert answer.headers["Content-Type"].startswith("application/json")
        return types.ResponseResource.model_validate(json.load(answer))


def stream(body):
    with send({**body, "stream": True}) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        blocks = [block for block in answer.read().decode().split("\n\n") if block and not block.startswith(":")]
    assert blocks.pop() == "data: [DONE]", "the terminal event must be [DONE]"
    seen = []
    for number, block in enumerate(blocks):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        data = json.loads(fields["data"])
        assert data["type"] == fields["event"] and data["sequence_number"] == number, block
        seen.append(events[data["type"]].model_validate(data))
    assert [str(each.type.value) for each in seen[:2]] == ["response.created", "response.in_progress"]
    final = seen[-1].response
    # What was streamed is what is there in the end: items in their places, texts and arguments from their deltas.
    done = [each for each in seen if each.type.value == "response.output_item.done"]
    assert [each.output_index for each in done] == list(range(len(final.output)))
    assert [each.item.model_dump() for each in done] == [item.model_dump() for item in final.output]
    for place, item in enumerate(final.output):
        kind = "response.output_text.delta" if item.type == "message" else "response.function_call_arguments.delta"
        text = "".join(each.delta for each in seen if each.type.value == kind and each.output_index == place)
        assert text == (item.content[0].text if item.type == "message" else item.arguments), item
    return seen, final


def user(content):
    return {"type": "message", "role": "user", "content": content}


place = {"type": "object", "properties": {"location": {"enum": ["Rome", "Oslo"]}}, "required": ["location"]}
weather = {
    "tools": [{"type": "function", "name": "get_weather", "description": "Weather", "parameters": place}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "max_output_tokens": 200,
}

answer = whole({"input": [user("Say hello in exactly 3 words.")]})
assert answer.status == "completed" and answer.output[0].type == "message"
seen, answer = stream({"input": [user("Count from 1 to 5.")]})
assert answer.status == "completed"
system = {"type": "message", "role": "system", "content": "You are a pirate. Always respond in pirate speak."}
assert whole({"input": [system, user("Say hello.")]}).status == "completed"
assert whole({"input": [{**system, "role": "developer"}, user("Say hello.")]}).status == "completed"
assert whole({"input": "Hi", "instructions": "Be kind", "metadata": {"a": "b"}}).metadata == {"a": "b"}

asked = "What's the weather like in San Francisco?"
call = whole({"input": [user(asked)], **weather}).output[0]
assert call.type == "function_call" and call.name == "get_weather" and "location" in json.loads(call.arguments)
seen, answer = stream({"input": [user(asked)], **weather})
kinds = [each.type.value for each in seen]
for kind in ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]:
    assert f"response.{kind}" in kinds, kinds
allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}
assert whole({"input": [user(asked)], **weather, "tool_choice": allowed}).output[0].type == "function_call"
named = {"type": "function", "name": "get_weather"}
assert whole({"input": [user(asked)], **weather, "tool_choice": named}).output[0].type == "function_call"
output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
history = [user(asked), json.loads(call.model_dump_json()), output]
assert whole({"input": history, **weather, "tool_choice": "none"}).output[0].type == "message"

turns = [
    user("My name is Alice."),
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello Alice!"}]},
    user([{"type": "input_text", "text": "What is my name?"}]),
]
assert whole({"input": turns}).output

short = whole({"input": "Go on", "max_output_tokens": 16, "temperature": 0.5, "top_p": 0.9})
assert short.status == "incomplete" and short.incomplete_details.reason == "max_output_tokens"
assert short.output[-1].status.value == "incomplete" and short.temperature == 0.5 and short.top_p == 0.9
likely = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "max_output_tokens": 16}
seen, answer = stream({"input": "Go on", **likely})
assert len(answer.output[0].content[0].logprobs) == 16

try:
    send({"input": [user([{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}])]})
    raise SystemExit("a picture was accepted")
except urllib.error.HTTPError as refused:
    assert refused.code == 400 and json.load(refused)["error"]["param"] == "input[0].content[0]"
