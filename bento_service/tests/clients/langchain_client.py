"""langchain-openai, as its users write it. usage: langchain_client.py URL"""

import sys

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

chat = ChatOpenAI(model="default", base_url=f"{sys.argv[1]}/v1", api_key=SecretStr("unused"), max_retries=0)
print(chat.invoke([("system", "Be kind."), ("user", "one two")]).content)
print("".join(str(chunk.content) for chunk in chat.stream("three four")))
