import { Stack, Text, UnstyledButton } from "@mantine/core"
import { IconFileSearch, IconMathFunction, IconTerminal2 } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { CodeBlock } from "../markdown/CodeBlock"
import classes from "./Calls.module.css"
import { Picture } from "./FileViews"
import { briefly, jsonOf } from "./json"
import type { CodeCall, FunctionCall, RunStep, SearchCall, ToolCall } from "./objects"
import { type Source, textOfResult } from "./passages"
import { Unfolding } from "./Unfolding"

interface Props<T> {
  call: T
  step: RunStep
  /** Whether the call's run is at work. */
  isLive: boolean
  /** Figures that are shown in the answer itself. */
  figures: ReadonlySet<string>
  onSource: (source: Source) => void
}

/** What an assistant did with a tool. */
export function Call({ call, ...rest }: Props<ToolCall>) {
  switch (call.type) {
    case "code_interpreter":
      return <Program call={call} {...rest} />
    case "file_search":
      return <Search call={call} {...rest} />
    case "function":
      return <CalledFunction call={call} {...rest} />
  }
}

type State = "working" | "done" | "stopped"

function stateOf(step: RunStep, isLive: boolean): State {
  if (step.status === "completed") return "done"
  return isLive && step.status === "in_progress" ? "working" : "stopped"
}

function Program({ call, step, isLive, figures }: Props<CodeCall>) {
  const { t } = useTranslation("threads")
  const { input, outputs } = call.code_interpreter
  const state = stateOf(step, isLive)
  const logs = outputs.map((output) => (output.type === "logs" ? output.logs : "")).join("")
  const plots = outputs.flatMap((output) => (output.type === "image" ? [output.image.file_id] : []))
  return (
    <Unfolding
      icon={<IconTerminal2 size={16} aria-hidden />}
      title={t(`call.code.${state}`)}
      isWorking={state === "working"}
    >
      <CodeBlock code={input} language="python" title="Python" maxHeight={360} />
      {logs && <CodeBlock code={logs} language={null} title={t("call.logs")} maxHeight={240} />}
      {state === "done" && !logs && plots.length === 0 && (
        <Text size="sm" c="dimmed">
          {t("call.noOutput")}
        </Text>
      )}
      {plots.map((plot, place) =>
        figures.has(plot) ? null : (
          <Picture key={plot} fileId={plot} alt={t("call.plot", { number: place + 1 })} />
        ),
      )}
    </Unfolding>
  )
}

function Search({ call, step, isLive, onSource }: Props<SearchCall>) {
  const { t } = useTranslation("threads")
  const results = call.file_search.results ?? []
  const state = stateOf(step, isLive)
  const done = results.length > 0 ? t("call.search.done", { count: results.length }) : t("call.search.none")
  return (
    <Unfolding
      icon={<IconFileSearch size={16} aria-hidden />}
      title={state === "working" ? t("call.search.working") : done}
      isWorking={state === "working"}
    >
      <Stack gap={6} component="ol" className={classes.results ?? ""}>
        {results.map((result, place) => (
          <li key={place}>
            <UnstyledButton
              className={classes.result ?? ""}
              onClick={() =>
                onSource({ fileId: result.file_id, fileName: result.file_name, text: textOfResult(result) })
              }
              aria-label={t("call.search.open", { name: result.file_name })}
            >
              <span className={classes.resultHead}>
                <Text size="xs" fw={600} span truncate>
                  {result.file_name}
                </Text>
                <Text size="xs" c="dimmed" span>
                  {t("call.search.score", { score: result.score.toFixed(2) })}
                </Text>
              </span>
              <Text size="xs" c="dimmed" lineClamp={2}>
                {textOfResult(result)}
              </Text>
            </UnstyledButton>
          </li>
        ))}
      </Stack>
    </Unfolding>
  )
}

function CalledFunction({ call, step, isLive }: Props<FunctionCall>) {
  const { t } = useTranslation("threads")
  const { name, arguments: given, output } = call.function
  const state = output !== null && output !== undefined ? "done" : stateOf(step, isLive)
  return (
    <Unfolding
      icon={<IconMathFunction size={16} aria-hidden />}
      title={t(`call.function.${state}`, { name })}
      detail={briefly(given)}
      isWorking={state === "working"}
    >
      <CodeBlock {...jsonOf(given)} title={t("call.function.arguments")} maxHeight={240} />
      {state === "done" && (
        <CodeBlock {...jsonOf(output ?? "")} title={t("call.function.output")} maxHeight={240} />
      )}
    </Unfolding>
  )
}
