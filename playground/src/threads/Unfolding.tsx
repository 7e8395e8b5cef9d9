import { Collapse, Loader, Text, UnstyledButton } from "@mantine/core"
import { IconChevronRight } from "@tabler/icons-react"
import { type ReactNode, useId, useState } from "react"
import classes from "./Unfolding.module.css"

interface Props {
  icon: ReactNode
  title: string
  /** What tells it from others of its kind, in a few words. */
  detail?: string
  /** At work it is open, so that what happens is seen as it happens; after that, it folds itself up. */
  isWorking: boolean
  children: ReactNode
}

/** A tool's call as one line, which unfolds to all of it. */
export function Unfolding({ icon, title, detail, isWorking, children }: Props) {
  const [chosen, setChosen] = useState<boolean | null>(null)
  const isOpen = chosen ?? isWorking
  const body = useId()
  return (
    <div className={classes.call}>
      <UnstyledButton
        className={classes.line ?? ""}
        aria-expanded={isOpen}
        aria-controls={body}
        onClick={() => setChosen(!isOpen)}
      >
        {isWorking ? <Loader size={14} aria-hidden /> : icon}
        <Text size="sm" component="span" className={classes.title ?? ""}>
          {title}
          {detail && <span className={classes.detail}>{detail}</span>}
        </Text>
        <IconChevronRight size={14} className={classes.arrow} data-open={isOpen || undefined} aria-hidden />
      </UnstyledButton>
      <Collapse expanded={isOpen} id={body}>
        <div className={classes.body}>{children}</div>
      </Collapse>
    </div>
  )
}
