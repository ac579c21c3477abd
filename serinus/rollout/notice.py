"""What people are told of a deed, in English or in Chinese."""

from enum import StrEnum
from typing import NamedTuple

from serinus.rollout.deed import Deed, Kind
from serinus.rollout.verdict import Verdict


class Language(StrEnum):
    """The language of a notice."""

    ENGLISH = "en"
    CHINESE = "zh"


class Notice(NamedTuple):
    """A title of one line, and a body of a few."""

    title: str
    body: str


_DONE = {
    Language.ENGLISH: {
        Kind.STEP: "weight changed",
        Kind.CUT: "canary cut",
        Kind.HELD: "held, no rise until somebody resumes",
        Kind.RESUMED: "resumed",
        Kind.APPROVED: "approved",
        Kind.OVERRIDE: "rules overridden",
        Kind.SWAP: "canary became stable",
        Kind.BLIND: "blind, no telemetry",
        Kind.BUDGET: "budget of the day spent",
    },
    Language.CHINESE: {
        Kind.STEP: "流量权重已调整",
        Kind.CUT: "金丝雀流量已切断",
        Kind.HELD: "已暂停，恢复前不再放量",
        Kind.RESUMED: "已恢复",
        Kind.APPROVED: "已批准",
        Kind.OVERRIDE: "规则已被临时豁免",
        Kind.SWAP: "金丝雀版本已转为稳定版本",
        Kind.BLIND: "遥测中断，无法判断",
        Kind.BUDGET: "当日预算已用完",
    },
}
_VERDICTS = {
    Verdict.PASS: "通过",
    Verdict.FAIL: "失败",
    Verdict.INSUFFICIENT: "样本不足",
    Verdict.BLIND: "无数据",
}
# By their URL's scheme: receivers whose readers read Chinese.
_CHINESE = ("dingtalk", "feishu", "wecombot", "wecom", "schan", "pushplus", "wxpusher")


def language_of(scheme: str) -> Language:
    """Return the language of a receiver, by the scheme of its URL."""
    return Language.CHINESE if scheme.lower() in _CHINESE else Language.ENGLISH


def notice(deed: Deed, language: Language = Language.ENGLISH) -> Notice:
    """Say what was done, by whom and why, and how to go on after a cut or a hold."""
    moved = f"{deed.old} % → {deed.new} %"
    with_weight = deed.kind in (Kind.STEP, Kind.CUT, Kind.APPROVED, Kind.SWAP)
    done = _DONE[language][deed.kind]
    at = deed.at.isoformat(timespec="seconds")
    go_on = f"serinus resume {deed.service} --reason …" if deed.kind in (Kind.CUT, Kind.HELD, Kind.BLIND) else ""
    if language is Language.CHINESE:
        title = f"{deed.service}：{done}" + (f"，{moved}" if with_weight else "")
        lines = [
            f"原因：{deed.reason}",
            f"操作者：{deed.by}",
            f"时间：{at}",
            f"版本：{deed.release}" if deed.release else "",
            f"判定：{_VERDICTS[deed.verdict]}" if deed.verdict else "",
            f"查明后恢复：{go_on}" if go_on else "",
        ]
    else:
        title = f"{deed.service}: {done}" + (f", {moved}" if with_weight else "")
        lines = [
            f"Why: {deed.reason}",
            f"By: {deed.by}",
            f"At: {at}",
            f"Release: {deed.release}" if deed.release else "",
            f"Verdict: {deed.verdict}" if deed.verdict else "",
            f"When it is understood: {go_on}" if go_on else "",
        ]
    return Notice(title, "\n".join(line for line in lines if line))
