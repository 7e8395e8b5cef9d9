import { Badge, Progress, Spoiler, Text } from "@mantine/core"
import { useMemo } from "react"
import { useTranslation } from "react-i18next"
import { mark } from "./marks"
import passages from "./Passages.module.css"
import type { Hit } from "./queries"
import classes from "./SearchTab.module.css"

/** A passage that a search found, and why. */
export function HitCard({ hit, rank }: { hit: Hit; rank: number }) {
  const { t } = useTranslation("files")
  const text = hit.content.map((part) => part.text).join("\n")
  const words = hit.explanation?.matched_words ?? []
  return (
    <article className={classes.hit} aria-label={t("find.hit", { rank, name: hit.filename })}>
      <div className={classes.head}>
        <Badge variant="light" size="lg" radius="sm">
          {hit.score.toFixed(2)}
        </Badge>
        <Text size="sm" fw={550}>
          {hit.filename}
        </Text>
      </div>
      <Spoiler
        maxHeight={140}
        showLabel={t("find.more")}
        hideLabel={t("find.less")}
        attributes={{ content: { "aria-label": t("find.hit", { rank, name: hit.filename }) } }}
        mt="xs"
        styles={{ control: { fontSize: "var(--mantine-font-size-sm)" } }}
      >
        <Marked text={text} words={words} />
      </Spoiler>
      {hit.explanation && <Why explanation={hit.explanation} />}
    </article>
  )
}

function Marked({ text, words }: { text: string; words: string[] }) {
  const stretches = useMemo(() => mark(text, words), [text, words])
  return (
    <p className={passages.text}>
      {stretches.map(({ text, isMarked }, index) => (isMarked ? <mark key={index}>{text}</mark> : text))}
    </p>
  )
}

function Why({ explanation }: { explanation: NonNullable<Hit["explanation"]> }) {
  const { t } = useTranslation("files")
  const { keyword_score, vector_score, matched_words } = explanation
  return (
    <div className={classes.why}>
      <Part name={t("find.meaning")} score={vector_score} />
      <Part name={t("find.words")} score={keyword_score} />
      {matched_words.length > 0 && (
        <span className={classes.matched}>{t("find.matched", { words: matched_words.join(", ") })}</span>
      )}
    </div>
  )
}

function Part({ name, score }: { name: string; score: number | null }) {
  const { t } = useTranslation("files")
  return (
    <>
      <span>{name}</span>
      <Progress value={100 * (score ?? 0)} size="sm" aria-label={name} />
      <span>{score === null ? t("find.notLooked") : score.toFixed(2)}</span>
    </>
  )
}
