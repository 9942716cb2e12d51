"""Greedy continuations by a server that the user runs, checked against the weights here.

Prompts go as token ids and continuations come back as such, so that scorers read what they would
read of the model itself. Whose weights a server holds cannot be proven: its greedy tokens and their
log-probabilities on a few prompts are held against the weights here, and the numbers say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from cluster.errors import SurroundingsError, UserError
from jobs.behaviour.behave_params import BehaveParams
from jobs.behaviour.continuations import Continuations, prompts_to_continue
from jobs.behaviour.decoding import end_tokens, until_end
from jobs.behaviour.endpoint_requests import EndpointRequests
from jobs.behaviour.prompted_model import PromptedModel
from jobs.behaviour.served_params import Served
from jobs.behaviour.server_check import Agreement, Probe, compare_with_weights
from jobs.models.opened_model import is_put_together, model_folder
from jobs.service.answer_log import AnswerLog, Reading
from jobs.service.completions import CompletionServer, ServedTokens, ServerFacts
from jobs.service.credentials import read_key
from jobs.service.faults import NoAnswer
from jobs.service.key_uses import host_of
from jobs.service.retrying import RateLimit, ask_with_retries
from jobs.tokens.continued_texts import texts_behind
from jobs.worker.work import Work

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """One prompt for the server."""

    prompt: int
    """Its id."""
    token_ids: Sequence[int]
    """Its tokens."""


class ServedModel:
    """The server of one job."""

    def __init__(self, work: Work[BehaveParams], prompted: PromptedModel) -> None:
        served = work.params.served
        assert served is not None, "this job is not served"
        self._work, self._served, self._prompted = work, served, prompted
        self._folder = work.input("model").directory("model")
        self._ends = end_tokens_of(self._folder)
        self._server = CompletionServer(
            base_url=served.base_url,
            model=served.model,
            key=read_key(served.api_key_variable),
            timeout_s=served.timeout_s,
            at_once=served.at_once,
        )
        self._no_limit = RateLimit(float("inf"), lambda: work.stop_requested)
        self.facts: dict[str, object] = {}
        """What the record says of the server, once it has continued the prompts."""

    def continue_prompts(self) -> Continuations:
        """Continue every prompt from its last token before the final answer.

        Raises:
            UserError: the server has no such model, another one than is given, or cannot do this.
            SurroundingsError: it does not answer.
            Stopped: the job was asked to stop; what was answered is kept.
        """
        plan, num_tokens = self._prompted.plan, self._work.params.new_tokens
        places, prompts = prompts_to_continue(plan)
        with closing(self._server):
            about = self._once(self._server.facts)
            _require_room(about, prompts, num_tokens, self._served)
            agreement = self._check(prompts, num_tokens)
            sent = [
                _Sent(prompt=int(plan.prompts[place]), token_ids=token_ids)
                for place, token_ids in zip(places, prompts, strict=True)
            ]
            requests = self._requests(num_tokens)
            readings = requests.readings(sent, self._served.at_once)
        token_ids = [until_end(readings[each.prompt]["token_ids"], self._ends) for each in sent]
        names = sorted({str(reading["served"]) for reading in readings.values()})
        self.facts = self._describe(about, agreement, names, requests.log.num_taken_over)
        return Continuations(
            places=places,
            token_ids=token_ids,
            texts=texts_behind(self._prompted.tokenizer, prompts, token_ids),
            new_tokens=num_tokens,
            note=_note(about, agreement),
        )

    def _requests(self, num_tokens: int) -> EndpointRequests[_Sent, ServedTokens]:
        def read(sent: _Sent, answer: ServedTokens) -> Reading:
            return {"token_ids": list(answer.token_ids), "served": answer.served}

        return EndpointRequests(
            work=self._work,
            send=lambda sent: self._asked(
                lambda: self._server.complete(sent.token_ids, num_tokens)
            ),
            read=read,
            log=AnswerLog(self._work.attempt, "continuations"),
            most_missing=0,
            remedy="or raise served.max_retries or served.timeout_s",
        )

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        served = self._served
        return ask_with_retries(
            ask,
            self._no_limit,
            max_retries=served.max_retries,
            first_wait_s=served.first_wait_s,
        )

    def _once(self, ask: Callable[[], Answer]) -> Answer:
        """Ask what all else waits for; raises as `continue_prompts` does."""
        try:
            return self._asked(ask)
        except NoAnswer as fault:
            if not fault.is_away:
                raise UserError(
                    f"the server does not take what it is asked: {fault}",
                    where=f"model {self._served.model} at {self._served.base_url}",
                    hint="it must take token ids as `prompt`, and `return_token_ids`, as vLLM "
                    "does; its log says what it refused",
                ) from None
            raise SurroundingsError(
                f"the server does not answer as it should: {fault}",
                where=f"model {self._served.model} at {self._served.base_url}",
                hint="start it, or mend served.base_url, and launch again",
                fault_class=fault.fault_class,
            ) from None

    def _check(self, prompts: Sequence[Sequence[int]], num_tokens: int) -> Agreement | None:
        """Hold the server's continuations of a few prompts, long and short, against the weights."""
        number = min(self._served.probes, len(prompts))
        if not number:
            return None
        self._work.progress(None, "holding the server against the weights")
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
        chosen = [prompts[order[place * len(order) // number]] for place in range(number)]
        probes = [Probe(prompt=each, answer=self._probed(each, num_tokens)) for each in chosen]
        agreement = compare_with_weights(self._prompted.model, probes, self._ends)
        if agreement.distance > self._served.tolerance:
            raise UserError(
                f"the server does not serve the model that is given: {agreement.summary}",
                where=f"model {self._served.model} at {self._served.base_url}",
                hint=f"{self._way_to_serve()}; "
                f"served.tolerance ({self._served.tolerance:g} nats a token) says what may differ",
            )
        return agreement

    def _way_to_serve(self) -> str:
        """Say which folder has the weights that this job was given."""
        model = self._work.input("model")
        if is_put_together(model):
            return (
                "a model on the way of a training has no folder to serve: write it with a stage of "
                "kind export, serve that, and give it to this stage"
            )
        return f"serve the weights of this job, such as with `vllm serve {model_folder(model)}`"

    def _probed(self, prompt: Sequence[int], num_tokens: int) -> ServedTokens:
        return self._once(
            lambda: self._server.complete(prompt, num_tokens, with_log_probabilities=True)
        )

    def _describe(
        self,
        about: ServerFacts,
        agreement: Agreement | None,
        names: Sequence[str],
        num_taken_over: int,
    ) -> dict[str, object]:
        return {
            "host": host_of(self._served.base_url),
            "model": self._served.model,
            **asdict(about),
            "answered_as": list(names),
            "num_taken_over": num_taken_over,
            "check": None if agreement is None else asdict(agreement),
        }


def end_tokens_of(folder: Path) -> frozenset[int]:
    """Collect the tokens that end a text, as the model of a folder would have them when loaded."""
    from transformers import AutoConfig, GenerationConfig

    configs: list[object] = [AutoConfig.from_pretrained(folder, local_files_only=True)]
    if (folder / "generation_config.json").is_file():
        configs.append(GenerationConfig.from_pretrained(folder, local_files_only=True))
    return end_tokens(configs)


def _require_room(
    about: ServerFacts, prompts: Sequence[Sequence[int]], num_tokens: int, served: Served
) -> None:
    longest = max((len(prompt) for prompt in prompts), default=0) + num_tokens
    if about.max_length is not None and longest > about.max_length:
        raise UserError(
            f"the longest prompt and its continuation are {longest} tokens, the server takes "
            f"{about.max_length}",
            where=f"model {served.model} at {served.base_url}",
            hint=f"serve it with --max-model-len {longest} or more, or set max_length",
        )


def _note(about: ServerFacts, agreement: Agreement | None) -> str:
    """Say who continued, in the same words for every seed and model: the record has the rest."""
    version = f" (version {about.version})" if about.version else ""
    held = (
        "not held against the weights here"
        if agreement is None
        else f"which agreed with the weights here on {agreement.num_prompts} prompts"
    )
    return f"continued by a server{version}, {held}"
