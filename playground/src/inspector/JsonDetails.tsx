import { Collapse, Text, UnstyledButton } from "@mantine/core"
import { IconChevronRight } from "@tabler/icons-react"
import { type ReactNode, useState } from "react"
import { CodeBlock } from "../markdown/CodeBlock"
import classes from "./JsonDetails.module.css"

interface Props {
  title: ReactNode
  value: unknown
}

/** An object as the API has it, on demand. */
export function JsonDetails({ title, value }: Props) {
  const [isOpen, setOpen] = useState(false)
  return (
    <div>
      <UnstyledButton className={classes.title ?? ""} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <IconChevronRight size={13} className={classes.arrow} data-open={isOpen || undefined} aria-hidden />
        <Text size="xs" span className={classes.words ?? ""}>
          {title}
        </Text>
      </UnstyledButton>
      <Collapse expanded={isOpen}>
        {isOpen && (
          <CodeBlock code={JSON.stringify(value, null, 2)} language="json" title="JSON" maxHeight={420} />
        )}
      </Collapse>
    </div>
  )
}
