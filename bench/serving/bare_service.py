"""The least that BentoML serves: what our service's own cost is measured against."""

import bentoml


@bentoml.service(workers=1)
class Bare:
    """One endpoint that gives its input back."""

    @bentoml.api(route="/chat")  # type: ignore[untyped-decorator]  # BentoML has no types for it
    async def chat(self, prompt: str) -> dict[str, str]:
        """The prompt."""
        return {"response": prompt}
