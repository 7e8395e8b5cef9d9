import { Anchor, Table, Text, Typography } from "@mantine/core"
import { IconSquare, IconSquareCheck } from "@tabler/icons-react"
import type { Element, ElementContent } from "hast"
import { type ReactNode, useDeferredValue, useMemo } from "react"
import { useTranslation } from "react-i18next"
import ReactMarkdown, { type Components, type Options } from "react-markdown"
import remarkCjkFriendly from "remark-cjk-friendly"
import remarkGfm from "remark-gfm"
import { CodeBlock } from "./CodeBlock"
import { hasMaths, mathsInDollars, numberedMarks, plainMarks } from "./notation"
import classes from "./Rendered.module.css"
import { remarkMarks } from "./remarkMarks"
import { useMaths } from "./useMaths"

export interface Mark {
  readonly text: string
  readonly start_index: number
}

export interface MarkdownProps {
  readonly text: string
  /** The markers in the text that are shown as something else. */
  readonly marks?: readonly Mark[]
  /** Shows the mark of this number. */
  readonly showMark?: (mark: number) => ReactNode
  /** Shows a link to a file of the code interpreter, `sandbox:/mnt/data/…`. */
  readonly showFile?: (path: string, label: ReactNode) => ReactNode
}

const NO_MARKS: readonly Mark[] = []
const SANDBOX = "sandbox:"

export default function Rendered({ text, marks = NO_MARKS, showMark, showFile }: MarkdownProps) {
  // What streams in is shown as fast as it can be read and parsed, but never holds up typing.
  const shown = useDeferredValue(text)
  const source = useMemo(() => mathsInDollars(numberedMarks(shown, marks)), [shown, marks])
  const maths = useMaths(hasMaths(source))
  const components = useMemo(
    () => componentsFor({ marks, showMark, showFile }, maths?.Maths),
    [marks, showMark, showFile, maths],
  )
  const plugins: Options["remarkPlugins"] = [remarkGfm, remarkCjkFriendly, remarkMarks]
  return (
    <Typography className={classes.markdown ?? ""}>
      <ReactMarkdown
        remarkPlugins={maths ? [...plugins, maths.remarkMaths] : plugins}
        urlTransform={safeUrl}
        components={components}
      >
        {source}
      </ReactMarkdown>
    </Typography>
  )
}

/** Where a link may lead. Everything else, `javascript:` above all, becomes a link to nowhere. */
function safeUrl(url: string): string {
  return /^(https?:|mailto:|sandbox:|#)/i.test(url) ? url : ""
}

type MathsComponent = typeof import("./maths").Maths
type Shown = Required<Pick<MarkdownProps, "marks">> & Pick<MarkdownProps, "showMark" | "showFile">

function componentsFor({ marks, showMark, showFile }: Shown, Maths: MathsComponent | undefined): Components {
  return {
    a: ({ href = "", children }) =>
      href.startsWith(SANDBOX) && showFile ? showFile(href, children) : <Link href={href}>{children}</Link>,
    // A picture from elsewhere would tell its server who reads this, and when.
    img: ({ src, alt }) => {
      const address = typeof src === "string" ? src : ""
      if (address.startsWith(SANDBOX) && showFile) return showFile(address, alt)
      return <PictureElsewhere address={address} alt={alt ?? ""} />
    },
    cite: ({ node }) => {
      const mark = Number(node?.properties.dataMark)
      return showMark ? showMark(mark) : marks[mark]?.text
    },
    pre: ({ node }) => {
      const code = node?.children.find((child): child is Element => "tagName" in child)
      if (Maths && isMaths(code)) return <Maths tex={textWithin(code)} isDisplayed />
      return (
        <CodeBlock
          code={plainMarks(textWithin(code), marks).replace(/\n$/, "")}
          language={languageOf(code)}
        />
      )
    },
    code: ({ node }) =>
      Maths && isMaths(node) ? (
        <Maths tex={textWithin(node)} isDisplayed={false} />
      ) : (
        <code>{plainMarks(textWithin(node), marks)}</code>
      ),
    input: ({ checked }) => <Tick isTicked={checked === true} />,
    table: ({ children }) => (
      <Table.ScrollContainer minWidth={0} type="native">
        <Table withTableBorder withColumnBorders>
          {children}
        </Table>
      </Table.ScrollContainer>
    ),
  }
}

function Link({ href, children }: { href: string; children: ReactNode }) {
  const host = URL.canParse(href) ? new URL(href).host : ""
  if (href === "") return <span>{children}</span>
  const namesHost = typeof children === "string" && host !== "" && children.includes(host)
  return (
    <Anchor
      inherit
      href={href}
      target="_blank"
      rel="noopener noreferrer nofollow"
      title={href}
      underline="always"
    >
      {children}
      {host !== "" && !namesHost && (
        <Text span size="xs" c="dimmed">
          {` (${host})`}
        </Text>
      )}
    </Anchor>
  )
}

/** The box of a task in a list of tasks. */
function Tick({ isTicked }: { isTicked: boolean }) {
  const { t } = useTranslation("threads")
  const Box = isTicked ? IconSquareCheck : IconSquare
  return (
    <Box
      size={18}
      className={classes.tick}
      role="img"
      aria-label={t(isTicked ? "markdown.ticked" : "markdown.unticked")}
    />
  )
}

function PictureElsewhere({ address, alt }: { address: string; alt: string }) {
  const { t } = useTranslation("threads")
  return <Link href={address}>{alt ? t("markdown.picture", { alt }) : t("markdown.pictureUnnamed")}</Link>
}

function textWithin(node: ElementContent | undefined): string {
  if (!node) return ""
  if (node.type === "text") return node.value
  return node.type === "element" ? node.children.map(textWithin).join("") : ""
}

/** What remark-math has found. */
function isMaths(code: Element | undefined): boolean {
  return languageOf(code) === "math"
}

function languageOf(code: Element | undefined): string | null {
  const names = code?.properties.className
  const name = Array.isArray(names) ? names.find((each) => String(each).startsWith("language-")) : undefined
  return name === undefined ? null : String(name).slice("language-".length)
}
