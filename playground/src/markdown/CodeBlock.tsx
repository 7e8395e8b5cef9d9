import { ActionIcon, CopyButton, Group, Text, Tooltip } from "@mantine/core"
import { IconCheck, IconCopy } from "@tabler/icons-react"
import { type ReactNode, useEffect, useState } from "react"
import { useTranslation } from "react-i18next"
import classes from "./CodeBlock.module.css"

interface Props {
  readonly code: string
  readonly language: string | null
  /** What stands above it, in place of the language's name. */
  readonly title?: ReactNode
  /** In pixels; what is longer scrolls. */
  readonly maxHeight?: number
}

/** A program, or any text in which every character counts, with a way to copy it. */
export function CodeBlock({ code, language, title, maxHeight }: Props) {
  const { t } = useTranslation(["threads", "app"])
  const highlighted = useHighlighted(code, language)
  return (
    <div className={classes.block}>
      <Group justify="space-between" wrap="nowrap" className={classes.head ?? ""}>
        <Text size="xs" c="dimmed" component="span" truncate>
          {title ?? language ?? t("markdown.text")}
        </Text>
        <CopyButton value={code}>
          {({ copied, copy }) => (
            <Tooltip label={copied ? t("app:actions.copied") : t("app:actions.copy")}>
              <ActionIcon
                variant="subtle"
                color="gray"
                size="sm"
                onClick={copy}
                aria-label={copied ? t("app:actions.copied") : t("app:actions.copy")}
              >
                {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
              </ActionIcon>
            </Tooltip>
          )}
        </CopyButton>
      </Group>
      {/* Whoever has no pointer scrolls it by its keys. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre className={classes.code} style={{ maxHeight }} tabIndex={0}>
        <code>{highlighted ?? code}</code>
      </pre>
    </div>
  )
}

type Highlight = typeof import("./highlight").highlight

let loaded: Highlight | null = null

function useHighlighted(code: string, language: string | null): ReactNode {
  const [highlight, setHighlight] = useState<Highlight | null>(() => loaded)
  useEffect(() => {
    if (highlight || language === null) return
    let isShown = true
    import("./highlight").then(
      (module) => {
        loaded = module.highlight
        if (isShown) setHighlight(() => module.highlight)
      },
      // Out of reach, it leaves the text in one colour.
      () => {},
    )
    return () => {
      isShown = false
    }
  }, [highlight, language])
  return language !== null && highlight ? highlight(code, language) : null
}
