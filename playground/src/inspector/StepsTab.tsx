import { Badge, Group, Stack, Text } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { CopyId } from "../app/CopyId"
import { useFormat } from "../app/format"
import type { Run, RunStep } from "../threads/objects"
import type { Arrival } from "../threads/session"
import { isOver } from "../threads/transcript"
import { JsonDetails } from "./JsonDetails"
import classes from "./StepsTab.module.css"
import { type Bar, placed, type Span, type Timeline, timeline } from "./timeline"
import { useNow } from "./useNow"

interface Props {
  run: Run
  steps: readonly RunStep[]
  arrivals: readonly Arrival[]
}

const COLORS: Record<Run["status"], string> = {
  queued: "gray",
  in_progress: "blue",
  requires_action: "yellow",
  cancelling: "gray",
  cancelled: "gray",
  failed: "red",
  completed: "teal",
  incomplete: "yellow",
  expired: "yellow",
}

/** A run as a line of time, with what each step took. */
export function StepsTab({ run, steps, arrivals }: Props) {
  const { t } = useTranslation("inspector")
  const format = useFormat()
  const now = useNow(!isOver(run))
  const line = timeline(run, steps, arrivals)
  const { usage } = run
  return (
    <Stack gap="md">
      <Group gap="xs">
        <Badge variant="dot" color={COLORS[run.status]} tt="none">
          {t(`status.${run.status}`)}
        </Badge>
        <Text size="xs" fw={600}>
          {run.model}
        </Text>
        <Text size="xs" c="dimmed">
          <Duration span={line.run} now={now} />
        </Text>
      </Group>
      {usage && (
        <Group gap="lg" component="dl" className={classes.numbers ?? ""}>
          <Count name={t("tokens.read")} value={format.number(usage.prompt_tokens)} />
          <Count name={t("tokens.written")} value={format.number(usage.completion_tokens)} />
          <Count name={t("tokens.all")} value={format.number(usage.total_tokens)} />
        </Group>
      )}
      {line.bars.length === 0 && (
        <Text size="sm" c="dimmed">
          {t("steps.none")}
        </Text>
      )}
      <Stack gap={6} component="ol" className={classes.steps ?? ""}>
        {line.bars.map((bar) => (
          <li key={bar.step.id}>
            <Step bar={bar} line={line} now={now} />
          </li>
        ))}
      </Stack>
      <Stack gap={6}>
        <CopyId id={run.id} />
        <JsonDetails title={t("run.json")} value={run} />
      </Stack>
    </Stack>
  )
}

function Count({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <Text size="xs" c="dimmed" component="dt">
        {name}
      </Text>
      <Text size="sm" fw={600} component="dd" m={0}>
        {value}
      </Text>
    </div>
  )
}

function Step({ bar, line, now }: { bar: Bar; line: Timeline; now: number }) {
  const { t } = useTranslation("inspector")
  const format = useFormat()
  const { step, span } = bar
  const { left, width } = placed(line, bar, now)
  return (
    <div className={classes.step}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" fw={550} truncate>
          {titlesOf(step)
            .map((title) => t(title.key, title.words))
            .join(", ") || t("steps.tool_calls")}
        </Text>
        <Text size="xs" c="dimmed" className={classes.duration ?? ""}>
          <Duration span={span} now={now} />
        </Text>
      </Group>
      <div className={classes.track} aria-hidden>
        <div
          className={classes.bar}
          data-kind={step.type}
          data-status={step.status}
          style={{ marginLeft: `${left}%`, width: `${width}%` }}
        />
      </div>
      {step.usage && step.usage.total_tokens > 0 && (
        <Text size="xs" c="dimmed">
          {t("tokens.line", {
            read: format.number(step.usage.prompt_tokens),
            written: format.number(step.usage.completion_tokens),
          })}
        </Text>
      )}
      {step.last_error && (
        <Text size="xs" c="var(--mantine-color-error)" lang="en">
          {step.last_error.message}
        </Text>
      )}
      <JsonDetails title={t("steps.json")} value={step} />
    </div>
  )
}

type Title =
  | { key: "steps.message_creation" | "steps.code_interpreter" | "steps.file_search"; words?: undefined }
  | { key: "steps.function"; words: { name: string } }

function titlesOf({ step_details }: RunStep): Title[] {
  if (step_details.type === "message_creation") return [{ key: "steps.message_creation" }]
  return step_details.tool_calls.map((call): Title => {
    if (call.type === "function") return { key: "steps.function", words: { name: call.function.name } }
    return { key: `steps.${call.type}` }
  })
}

function Duration({ span, now }: { span: Span; now: number }) {
  const { i18n } = useTranslation("inspector")
  const seconds = ((span.end ?? now) - span.start) / 1000
  const digits = span.isCoarse || seconds >= 100 ? 0 : 2
  const format = new Intl.NumberFormat(i18n.language, {
    style: "unit",
    unit: "second",
    unitDisplay: "narrow",
    maximumFractionDigits: digits,
    minimumFractionDigits: digits,
  })
  // What begins and ends within one second took some of it, not none.
  const isLess = span.isCoarse && span.end !== null && seconds < 1
  return isLess ? `< ${format.format(1)}` : format.format(Math.max(0, seconds))
}
