import { Button, Group, Paper, Stack, Text, Textarea } from "@mantine/core"
import { IconMathFunction } from "@tabler/icons-react"
import { type FormEvent, type KeyboardEvent, useRef, useState } from "react"
import { useTranslation } from "react-i18next"
import { CodeBlock } from "../markdown/CodeBlock"
import classes from "./FunctionForm.module.css"
import { jsonFault, jsonOf } from "./json"
import type { RequiredCall } from "./objects"
import type { ToolOutput } from "./requests"

interface Props {
  calls: readonly RequiredCall[]
  isBusy: boolean
  onSubmit: (outputs: ToolOutput[]) => void
  onCancel: () => void
}

/** Answers the function calls that a run waits for, in place of a program. */
export function FunctionForm({ calls, isBusy, onSubmit, onCancel }: Props) {
  const { t } = useTranslation("threads")
  const [outputs, setOutputs] = useState<Readonly<Record<string, string>>>({})
  const [isSent, setSent] = useState(false)
  const form = useRef<HTMLFormElement>(null)

  function submit(event: FormEvent) {
    event.preventDefault()
    if (isBusy) return
    setSent(true)
    onSubmit(calls.map(({ id }) => ({ tool_call_id: id, output: outputs[id] ?? "" })))
  }

  function submitByKey(event: KeyboardEvent) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.current?.requestSubmit()
  }

  return (
    <Paper withBorder p="md" className={classes.form ?? ""}>
      <form ref={form} onSubmit={submit} onKeyDown={submitByKey}>
        <Stack gap="sm">
          <div>
            <Group gap={8}>
              <IconMathFunction size={18} aria-hidden />
              <Text size="sm" fw={600}>
                {t("form.title", { count: calls.length })}
              </Text>
            </Group>
            <Text size="sm" c="dimmed">
              {t("form.text")}
            </Text>
          </div>
          {calls.map((call, place) => (
            <Stack key={call.id} gap={0}>
              <CodeBlock {...jsonOf(call.function.arguments)} title={call.function.name} maxHeight={200} />
              <Textarea
                label={labelOf(call, place)}
                value={outputs[call.id] ?? ""}
                onChange={(event) => {
                  const { value } = event.currentTarget
                  setOutputs((all) => ({ ...all, [call.id]: value }))
                }}
                // It may be sent all the same: the API takes any text.
                error={warningOf(outputs[call.id] ?? "")}
                autosize
                minRows={2}
                maxRows={12}
                spellCheck={false}
                styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
              />
            </Stack>
          ))}
          <Group gap="xs">
            <Button type="submit" size="sm" loading={isSent && isBusy}>
              {t("form.submit")}
            </Button>
            <Button variant="default" size="sm" onClick={onCancel}>
              {t("form.cancel")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Paper>
  )

  function labelOf({ function: { name } }: RequiredCall, place: number): string {
    const isOnly = calls.filter((call) => call.function.name === name).length === 1
    return isOnly ? t("form.output", { name }) : t("form.outputNumbered", { name, number: place + 1 })
  }

  function warningOf(output: string): string | null {
    const why = jsonFault(output)
    return why === null ? null : t("form.notJson", { why })
  }
}
