"""litellm, as its users write it. usage: litellm_client.py URL"""

import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches a price list from the internet

import litellm


def messages(text: str) -> list[dict[str, str]]:
    """A conversation of one turn."""
    return [{"role": "user", "content": text}]


server = {"model": "openai/default", "base_url": f"{sys.argv[1]}/v1", "api_key": "unused", "num_retries": 0}
answer = litellm.completion(messages=messages("one two"), **server)
print(answer.choices[0].message.content)
stream = litellm.completion(messages=messages("three four"), stream=True, **server)
print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
