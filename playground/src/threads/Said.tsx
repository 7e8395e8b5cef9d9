import { Group, Stack, Text, UnstyledButton } from "@mantine/core"
import { type ReactNode, useCallback, useMemo } from "react"
import { useTranslation } from "react-i18next"
import { Markdown } from "../markdown/Markdown"
import { DownloadButton, DownloadLink, Picture } from "./FileViews"
import type { Annotation, Message, RunStep } from "./objects"
import { type FileCitation, numbersOf, type Source, sourceOf } from "./passages"
import classes from "./Said.module.css"

interface Props {
  message: Message
  /** The steps of the run that wrote it, in which its sources were found. */
  steps: readonly RunStep[]
  onSource: (source: Source) => void
}

/** A message of the assistant. */
export function Said({ message, steps, onSource }: Props) {
  const linked = new Set(message.content.flatMap(annotationsOf).flatMap(fileOf))
  const others = (message.attachments ?? []).flatMap(({ file_id }) =>
    file_id && !linked.has(file_id) ? [file_id] : [],
  )
  return (
    <Stack gap="sm">
      {message.content.map((part, place) => {
        switch (part.type) {
          case "text":
            return <Words key={place} {...part.text} steps={steps} onSource={onSource} />
          case "image_file":
            return <Picture key={place} fileId={part.image_file.file_id} />
          case "refusal":
            return <Text key={place}>{part.refusal}</Text>
          case "image_url":
            // Only users' messages have these: models cannot name addresses to load.
            return null
        }
      })}
      {others.length > 0 && (
        <Group gap="xs">
          {others.map((file) => (
            <DownloadButton key={file} fileId={file} />
          ))}
        </Group>
      )}
    </Stack>
  )
}

interface WordsProps extends Omit<Props, "message"> {
  value: string
  annotations: Annotation[]
}

function Words({ value, annotations, steps, onSource }: WordsProps) {
  const citations = useMemo(() => annotations.filter((each) => each.type === "file_citation"), [annotations])
  const numbers = useMemo(() => numbersOf(citations), [citations])
  const showMark = useCallback(
    (place: number) => {
      const citation = citations[place]
      return citation && <Mark {...{ citation, numbers, steps, onSource }} />
    },
    [citations, numbers, steps, onSource],
  )
  const showFile = useCallback(
    (path: string, label: ReactNode) => {
      const found = annotations.find((each) => each.type === "file_path" && each.text === path)
      if (found?.type !== "file_path") return label
      return <DownloadLink fileId={found.file_path.file_id}>{label}</DownloadLink>
    },
    [annotations],
  )
  return (
    <>
      <Markdown text={value} marks={citations} showMark={showMark} showFile={showFile} />
      {citations.length > 0 && <Sources {...{ citations, numbers, steps, onSource }} />}
    </>
  )
}

interface Cited {
  numbers: ReadonlyMap<string, number>
  steps: readonly RunStep[]
  onSource: (source: Source) => void
}

function Mark({ citation, numbers, steps, onSource }: Cited & { citation: FileCitation }) {
  const { t } = useTranslation("threads")
  const source = sourceOf(citation, steps)
  const name = source.fileName ?? t("citation.unnamedFile")
  const number = numbers.get(citation.text)
  return (
    <UnstyledButton
      className={classes.mark ?? ""}
      onClick={() => onSource(source)}
      aria-label={t("citation.open", { number, name })}
      title={name}
    >
      {number}
    </UnstyledButton>
  )
}

function Sources({ citations, numbers, steps, onSource }: Cited & { citations: readonly FileCitation[] }) {
  const { t } = useTranslation("threads")
  return (
    <Group gap={6} component="ul" aria-label={t("citation.sources")} className={classes.sources ?? ""}>
      {[...numbers].map(([text, number]) => {
        const citation = citations.find((each) => each.text === text)
        if (!citation) return null
        const source = sourceOf(citation, steps)
        return (
          <li key={text}>
            <UnstyledButton className={classes.source ?? ""} onClick={() => onSource(source)}>
              <span className={classes.number}>{number}</span>
              {source.fileName ?? t("citation.unnamedFile")}
            </UnstyledButton>
          </li>
        )
      })}
    </Group>
  )
}

function annotationsOf(part: Message["content"][number]): Annotation[] {
  return part.type === "text" ? part.text.annotations : []
}

function fileOf(annotation: Annotation): string[] {
  return annotation.type === "file_path" ? [annotation.file_path.file_id] : []
}
